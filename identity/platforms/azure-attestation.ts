import { bad } from '../outcome.ts'
import type { JsonObject } from '../json-strict.ts'
import { fitsProfile, objectClaim, textClaim, type PlatformProfile } from './profile.ts'

const vmId = /^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/i
/** Where the debugger of the host would have to be switched on, by kind of machine. */
const debuggableIn: Readonly<Record<string, string>> = {
  sevsnpvm: 'x-ms-sevsnpvm-is-debuggable',
  tdxvm: 'tdx_td_attributes_debug',
}
const mustBeTrue = ['secureboot', 'x-ms-azurevm-debuggersdisabled']
const mustBeFalse = [
  'x-ms-azurevm-bootdebug-enabled',
  'x-ms-azurevm-kerneldebug-enabled',
  'x-ms-azurevm-hypervisordebug-enabled',
]

/**
 * A token of Azure Attestation for a confidential virtual machine: one that Azure found compliant, started securely, with
 * every debugger off, and that names its machine once.
 *
 * @see https://learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-vms
 * @see https://learn.microsoft.com/azure/attestation/trust-domain-extensions-eat-profile
 */
export const azureAttestation: PlatformProfile = (claims) => {
  if (claims['x-ms-attestation-type'] !== 'azurevm') return bad('it is not about a virtual machine')
  const machine = textClaim(claims, 'x-ms-azurevm-vmid') ?? ''
  if (!vmId.test(machine)) return bad('it has no usable x-ms-azurevm-vmid')
  const tee = objectClaim(claims, 'x-ms-isolation-tee')
  if (!tee) return bad('it has no x-ms-isolation-tee')
  const kind = textClaim(tee, 'x-ms-attestation-type') ?? ''
  const debuggable = Object.hasOwn(debuggableIn, kind) ? debuggableIn[kind] : undefined
  if (debuggable === undefined) return bad('its x-ms-isolation-tee is of no confidential machine')
  if (tee['x-ms-compliance-status'] !== 'azure-compliant-cvm')
    return bad('its machine is not a compliant confidential one')
  if (tee[debuggable] !== false) return bad(`its ${debuggable} is not false`)
  // TDX says it once more, in the words of RFC 9711.
  if (tee['dbgstat'] !== undefined && tee['dbgstat'] !== 'disabled')
    return bad('its dbgstat is not disabled')
  const loose =
    mustBeTrue.find((name) => claims[name] !== true) ??
    mustBeFalse.find((name) => claims[name] !== false)
  if (loose !== undefined) return bad(`its ${loose} is not what it must be`)
  const configured = objectClaim(objectClaim(tee, 'x-ms-runtime') ?? {}, 'vm-configuration')
  const measured = configured?.['vmUniqueId']
  return measured === undefined || measured === machine
    ? fitsProfile
    : bad('its machine is not the one that was measured')
}

/**
 * Such a token has no `sub` and no `aud`: it is about the machine, and it is for whom the machine had in mind when it
 * chose the nonce, which stands in it as base64. A token that another asked for has another nonce.
 */
export const attestedClaims = (claims: JsonObject): JsonObject => {
  const payload = objectClaim(objectClaim(claims, 'x-ms-runtime') ?? {}, 'client-payload') ?? {}
  const nonce = Buffer.from(textClaim(payload, 'nonce') ?? '', 'base64').toString('utf8')
  const said = {
    ...(nonce === '' ? {} : { aud: nonce }),
    ...(textClaim(claims, 'x-ms-azurevm-vmid') === undefined
      ? {}
      : { sub: claims['x-ms-azurevm-vmid'] }),
  }
  return { ...said, ...claims }
}
