/** A certificate and its key, PEM. */
export type Credentials = { readonly certificate: string; readonly privateKey: string }
