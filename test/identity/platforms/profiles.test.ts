import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Issuer } from '#config/schema'
import { platformProfiles } from '#identity/platforms/profiles'
import { platformClaims } from '#test/fakes/platform-claims'

type Platform = Issuer['platform']
type Claims = Readonly<Record<string, unknown>>

const issuers: Partial<Record<Platform, string>> = {
  spiffe: 'spiffe://partner.example',
  azure: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
}
const check = (platform: Platform, claims: Claims) =>
  platformProfiles[platform](claims, issuers[platform] ?? 'https://issuer.example')

/** Claims with the one at `path` replaced; undefined takes it away. */
const changed = (
  claims: Claims,
  [name = '', ...rest]: readonly string[],
  value: unknown,
): Claims => {
  const inner = rest.length === 0 ? value : changed((claims[name] ?? {}) as Claims, rest, value)
  const { [name]: _before, ...others } = claims
  return inner === undefined ? others : { ...others, [name]: inner }
}

for (const platform of Object.keys(platformProfiles) as Platform[])
  test(`a token of ${platform} as the platform makes it fits`, () => {
    assert.deepEqual(check(platform, platformClaims[platform]), { ok: true, value: undefined })
  })

suite('a token does not fit', () => {
  const io = 'kubernetes.io'
  const sts = 'https://sts.amazonaws.com/'
  const maa = 'azure-attestation'
  const tee = 'x-ms-isolation-tee'
  const rows: readonly (readonly [Platform, string, readonly string[], unknown])[] = [
    ['kubernetes', 'for another account than its sub', ['sub'], 'system:serviceaccount:shop:admin'],
    ['kubernetes', 'of another namespace', [io, 'namespace'], 'kube-system'],
    ['kubernetes', 'whose sub is a user', ['sub'], 'kubernetes-admin'],
    ['kubernetes', 'without the uid of its account', [io, 'serviceaccount', 'uid'], undefined],
    ['kubernetes', 'with an empty uid', [io, 'serviceaccount', 'uid'], ''],
    ['kubernetes', 'without its namespace', [io, 'namespace'], undefined],
    ['kubernetes', 'whose pod has no uid', [io, 'pod', 'uid'], undefined],
    ['kubernetes', 'whose pod is a text', [io, 'pod'], 'orders-7'],
    ['kubernetes', 'that says nothing of Kubernetes', [io], undefined],
    ['kubernetes', 'of the old kind', ['kubernetes.io/serviceaccount/namespace'], 'shop'],
    [
      'github',
      'of another repository by its sub',
      ['sub'],
      'repo:example/other:ref:refs/heads/main',
    ],
    ['github', 'of a repository whose name begins alike', ['sub'], 'repo:example/shop2:ref:x'],
    ['github', 'with the id of another in its sub', ['sub'], 'repo:example@9/shop@42:ref:x'],
    ['github', 'of another owner', ['repository_owner'], 'evil'],
    ['github', 'without the id of its repository', ['repository_id'], undefined],
    ['github', 'with a name for an id', ['repository_owner_id'], 'example'],
    ['github', 'with a number for an id', ['repository_id'], 42],
    ['github', 'with three parts of a name', ['repository'], 'example/shop/x'],
    ['github', 'without its event', ['event_name'], undefined],
    [
      'gitlab',
      'of another project by its sub',
      ['sub'],
      'project_path:example/other:ref_type:branch',
    ],
    ['gitlab', 'of another group', ['namespace_path'], 'exam'],
    ['gitlab', 'without the id of its project', ['project_id'], undefined],
    ['gitlab', 'with a name for an id', ['namespace_id'], 'example'],
    ['gitlab', 'that does not say whether its ref is protected', ['ref_protected'], undefined],
    ['aws', 'of another account', [sts, 'aws_account'], '999999999999'],
    ['aws', 'whose sub is no ARN', ['sub'], 'role/deployer'],
    ['aws', 'whose sub is of another service', ['sub'], 'arn:aws:s3:::123456789012:role/x'],
    ['aws', 'that says nothing of AWS', [sts], undefined],
    ['aws', 'with a list for an account', [sts, 'aws_account'], ['123456789012']],
    ['gcp', 'whose sub is a mail address', ['sub'], 'ci@project.iam.gserviceaccount.com'],
    ['gcp', 'whose mail address is not verified', ['email_verified'], false],
    ['gcp', 'without azp', ['azp'], undefined],
    ['gcp', 'of a machine without its id', ['google', 'compute_engine', 'instance_id'], undefined],
    ['gcp', 'with a google claim of something else', ['google'], {}],
    ['azure', 'of another tenant', ['tid'], '99999999-2222-3333-4444-555555555555'],
    ['azure', 'whose tenant is a name', ['tid'], 'contoso'],
    ['azure', 'for a person', ['sub'], 'another'],
    ['azure', 'without its object', ['oid'], undefined],
    ['azure', 'without an application', ['appid'], undefined],
    ['azure', 'with something else for its machine', ['xms_az_rid'], 'https://evil.example'],
    ['spiffe', 'of another trust domain', ['sub'], 'spiffe://partner.example.evil/jobs/nightly'],
    ['spiffe', 'about a trust domain as such', ['sub'], 'spiffe://partner.example'],
    ['spiffe', 'about nobody of a trust domain', ['sub'], 'alice'],
    ['spiffe', 'with a port in its sub', ['sub'], 'spiffe://partner.example:443/jobs/nightly'],
    [maa, 'of an enclave and not of a machine', ['x-ms-attestation-type'], 'sgx'],
    [maa, 'without its machine', ['x-ms-azurevm-vmid'], undefined],
    [maa, 'whose machine is a name', ['x-ms-azurevm-vmid'], 'web-1'],
    [maa, 'of a machine that is no confidential one', [tee], undefined],
    [maa, 'of a kind of machine that is not known', [tee, 'x-ms-attestation-type'], 'constructor'],
    [maa, 'that is not compliant', [tee, 'x-ms-compliance-status'], 'azure-trustedvm'],
    [maa, 'whose host may look inside', [tee, 'x-ms-sevsnpvm-is-debuggable'], true],
    [maa, 'that does not say whether it may', [tee, 'x-ms-sevsnpvm-is-debuggable'], undefined],
    [maa, 'that did not start securely', ['secureboot'], false],
    [maa, 'that says so as a text', ['secureboot'], 'true'],
    [maa, 'with a debugger of its kernel', ['x-ms-azurevm-kerneldebug-enabled'], true],
    [maa, 'with debuggers', ['x-ms-azurevm-debuggersdisabled'], false],
    [
      maa,
      'for another machine than was measured',
      [tee, 'x-ms-runtime', 'vm-configuration', 'vmUniqueId'],
      '11111111-6832-46CE-9910-E8C9980BF5A7',
    ],
  ]
  for (const [platform, what, path, value] of rows)
    test(`for ${platform} ${what}`, () => {
      assert.equal(check(platform, changed(platformClaims[platform], path, value)).ok, false)
    })
})

suite('a confidential machine of Azure on Intel TDX', () => {
  const maa = platformClaims['azure-attestation']
  const at = 'x-ms-isolation-tee'
  const { 'x-ms-runtime': runtime } = maa[at] as Claims
  // As the documentation of Azure Attestation shows its claims.
  const tdx = {
    attester_tcb_status: 'UpToDate',
    dbgstat: 'disabled',
    tdx_mrtd: '5b'.repeat(48),
    tdx_td_attributes: '0000000000000000',
    tdx_td_attributes_debug: false,
    tdx_td_attributes_septve_disable: false,
    'x-ms-attestation-type': 'tdxvm',
    'x-ms-compliance-status': 'azure-compliant-cvm',
    'x-ms-runtime': runtime,
  }
  const isFit = (changes: Claims) =>
    check('azure-attestation', { ...maa, [at]: { ...tdx, ...changes } }).ok
  test('fits by the claims of TDX, whether they say twice that nobody debugs it or once', () => {
    assert.ok(isFit({}))
    assert.ok(isFit({ dbgstat: undefined }))
  })
  for (const changes of [
    { tdx_td_attributes_debug: true },
    { tdx_td_attributes_debug: undefined },
    { tdx_td_attributes_debug: 'false' },
    { tdx_td_attributes_debug: undefined, 'x-ms-sevsnpvm-is-debuggable': false },
    { dbgstat: 'enabled' },
    { dbgstat: false },
    { 'x-ms-compliance-status': undefined },
  ])
    test(`does not fit with ${JSON.stringify(Object.entries(changes))}`, () => {
      assert.ok(!isFit(changes))
    })
})

for (const [platform, path, value] of [
  ['kubernetes', ['kubernetes.io', 'pod'], undefined],
  ['github', ['sub'], 'repo:example@7/shop@42:ref:refs/heads/main'],
  ['github', ['sub'], 'job_workflow_ref:example/shop/.github/workflows/ci.yml@refs/heads/main'],
  ['gcp', ['google'], undefined],
  ['azure', ['xms_mirid'], undefined],
] as const)
  test(`a token of ${platform} with ${path.join('.')} ${String(value)} fits, too`, () => {
    assert.ok(check(platform, changed(platformClaims[platform], path, value)).ok)
  })
