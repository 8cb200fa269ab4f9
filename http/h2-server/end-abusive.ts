import { constants, type Http2Session } from 'node:http2'

/** Ends a connection whose other end went beyond a limit, and tells it so. */
export const endAbusive = (session: Http2Session): void => {
  if (session.destroyed) return
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  // Closed first, its socket ends in peace, and what it says last is not lost to a reset.
  setImmediate(() => {
    if (!session.destroyed) session.close()
    if (!session.destroyed) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })
}
