import type { Issuer } from '#config/schema'

const sub = 'system:serviceaccount:shop:orders'

/** What each platform says of a workload, besides `iss`, `aud`, `iat` and `exp`, as its own documentation shows it. */
export const platformClaims: Readonly<
  Record<Issuer['platform'], Readonly<Record<string, unknown>>>
> = {
  oidc: { sub: 'job-7' },
  spiffe: { sub: 'spiffe://partner.example/jobs/nightly' },
  kubernetes: {
    sub,
    'kubernetes.io': {
      namespace: 'shop',
      node: { name: 'node-1', uid: '0d4c1d50-1111-4a6b-8e0b-5a0c8a2f0001' },
      pod: { name: 'orders-7', uid: '0d4c1d50-2222-4a6b-8e0b-5a0c8a2f0002' },
      serviceaccount: { name: 'orders', uid: '0d4c1d50-3333-4a6b-8e0b-5a0c8a2f0003' },
    },
  },
  github: {
    sub: 'repo:example/shop:ref:refs/heads/main',
    repository: 'example/shop',
    repository_id: '42',
    repository_owner: 'example',
    repository_owner_id: '7',
    ref: 'refs/heads/main',
    ref_type: 'branch',
    event_name: 'push',
    job_workflow_ref: 'example/shop/.github/workflows/ci.yml@refs/heads/main',
    run_id: '1001',
    actor: 'ann',
    environment: 'production',
  },
  gitlab: {
    sub: 'project_path:example/shop:ref_type:branch:ref:main',
    project_id: '22',
    project_path: 'example/shop',
    namespace_id: '72',
    namespace_path: 'example',
    ref: 'main',
    ref_type: 'branch',
    ref_protected: 'true',
    pipeline_id: '574',
    job_id: '302',
  },
  aws: {
    sub: 'arn:aws:iam::123456789012:role/deployer',
    'https://sts.amazonaws.com/': {
      aws_account: '123456789012',
      org_id: 'o-abc',
      principal_tags: { team: 'shop' },
      request_tags: { anything: 'the caller likes' },
      lambda_source_function_arn: 'arn:aws:lambda:eu-west-1:123456789012:function:nightly',
    },
  },
  gcp: {
    sub: '107517467455664443765',
    azp: '107517467455664443765',
    email: 'ci@project.iam.gserviceaccount.com',
    email_verified: true,
    google: {
      compute_engine: {
        project_id: 'shop',
        project_number: 739419398126,
        zone: 'europe-west1-b',
        instance_id: '152986662232938449',
        instance_name: 'cron',
        instance_creation_timestamp: 1520452088,
      },
    },
  },
  azure: {
    sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    oid: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    tid: '11111111-2222-3333-4444-555555555555',
    appid: 'ffffffff-bbbb-cccc-dddd-eeeeeeeeeeee',
    idtyp: 'app',
    xms_mirid:
      '/subscriptions/1/resourcegroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cron',
  },
  'azure-attestation': {
    jti: 'e3a1',
    secureboot: true,
    'x-ms-attestation-type': 'azurevm',
    'x-ms-azurevm-attestation-protocol-ver': '2.0',
    'x-ms-azurevm-bootdebug-enabled': false,
    'x-ms-azurevm-debuggersdisabled': true,
    'x-ms-azurevm-hypervisordebug-enabled': false,
    'x-ms-azurevm-kerneldebug-enabled': false,
    'x-ms-azurevm-osdistro': 'Ubuntu',
    'x-ms-azurevm-vmid': '2DEDC52A-6832-46CE-9910-E8C9980BF5A7',
    'x-ms-isolation-tee': {
      'x-ms-attestation-type': 'sevsnpvm',
      'x-ms-compliance-status': 'azure-compliant-cvm',
      'x-ms-runtime': {
        'vm-configuration': {
          'secure-boot': true,
          'tpm-enabled': true,
          vmUniqueId: '2DEDC52A-6832-46CE-9910-E8C9980BF5A7',
        },
      },
      'x-ms-sevsnpvm-is-debuggable': false,
      'x-ms-sevsnpvm-migration-allowed': false,
    },
    'x-ms-policy-hash': 'wm9mHlvTU82e8UqoOy1Yj1FBRSNkfe99-69IYDq9eWs',
    // base64 of `sallyport`: what the machine asked to be told back
    'x-ms-runtime': { 'client-payload': { nonce: 'c2FsbHlwb3J0' } },
    'x-ms-ver': '1.0',
  },
}
