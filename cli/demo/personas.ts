/** Who calls in the demo, and what their tokens say of them. */
export const personas = {
  alice: { roles: ['orders-reader', 'orders-writer'], tenant: 'acme' },
  bob: { roles: ['guest'], tenant: 'acme' },
  carol: { roles: ['orders-reader'], tenant: 'globex' },
  'billing-job': { roles: ['billing-runner'], tenant: 'acme' },
} as const satisfies Record<string, { readonly roles: readonly string[]; readonly tenant: string }>

export type Persona = keyof typeof personas
