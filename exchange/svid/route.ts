import { peerOf as connectionOf } from '#http/peer'
import { csrRoute, type CsrRouteParts } from '../csr-route.ts'
import { askedFacts } from '../token/notes.ts'
import { certificateOf, joined } from '../token/route.ts'
import { answerCsr, type AnswerCsrParts } from './answer-csr.ts'
import { applicantOf, type ApplicantParts } from './applicant.ts'
import type { Applicant } from './application.ts'

export type X509RouteParts = AnswerCsrParts & ApplicantParts & CsrRouteParts

/**
 * `POST /svid/x509`. A gateway's first certificate is had by a join token or its platform's token as bearer token, the next
 * ones over mTLS with the last, for the same SPIFFE ID; functions and jobs come with their platform's token each time.
 */
export const x509Route = (parts: X509RouteParts) =>
  csrRoute<Applicant>(
    {
      path: '/svid/x509',
      kind: 'x509-svid',
      applicantOf: async (request, { peer, nowMs, record }) => {
        record.learn(askedFacts('x509-svid', '', undefined))
        const { address, tlsVersion } = connectionOf(request.socket)
        const question = {
          authorization: request.headers.authorization,
          headers: joined(request.headers),
          certificate: certificateOf(request),
          peer,
          address,
          tlsVersion,
        }
        const applicant = await applicantOf(question, parts, nowMs, record)
        if (!applicant.ok) return applicant
        const { client, spiffeId } = applicant.value
        record.learn({ client, spiffeId })
        return applicant
      },
      answer: async (applicant, csr, _request, { nowMs, record }) => {
        const covered = applicant.seesBody?.(csr)
        return covered && !covered.ok ? covered : answerCsr(parts, applicant, csr, nowMs, record)
      },
    },
    parts,
  )
