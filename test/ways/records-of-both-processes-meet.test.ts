import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { AuditEvent } from '#contract/audit-event'
import { askAt, eventually, ids, meshRig, recordsIn, tokenRoute } from './rig.ts'

const theirTrace = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${theirTrace}-00f067aa0ba902b7-01`

/** Nobody takes the spans: what is recorded does not depend on it. */
const tracing = { endpoint: 'http://127.0.0.1:1/v1/traces', sampleRatio: 1 }

suite('the record of an exchange', async () => {
  const rig = await meshRig()
  after(rig.close)
  const service = await rig.service((_req, res) => res.end('yes'))
  const exchange = await rig.exchange()
  const gatewayWith = (name: string, more: object) =>
    rig.gateway(name, {
      exchangePort: exchange.exchange.port,
      upstreams: { service: { endpoints: [service.url], spiffeId: ids.service } },
      routes: [tokenRoute('mine', '/mine')],
      ...more,
    })
  const [continuing, restarting, untraced] = [
    await gatewayWith('continuing', { tracing: { ...tracing, continueIssuers: ['outside'] } }),
    await gatewayWith('restarting', { tracing }),
    await gatewayWith('untraced', {}),
  ]
  let callers = 0
  /** What both wrote of one request of a new caller. */
  const recordsOf = async (
    gateway: typeof continuing,
  ): Promise<{ readonly asked: AuditEvent; readonly minted: AuditEvent }> => {
    const answer = await eventually(async () => {
      const token = rig.token({ sub: `caller-${callers++}` })
      const headers = { traceparent, authorization: `Bearer ${token}` }
      const now = await askAt(gateway.port, gateway.ca, '/mine/1', { headers })
      return now.status === 200 ? now : undefined // on a busy machine the exchange may be slow at first
    })
    const id = answer.headers['x-sallyport-decision-id']
    const asked = await gateway.record(({ decisionId }) => decisionId === id)
    const minted = await eventually(() =>
      recordsIn(rig.at('exchange-audit.jsonl')).find(({ decisionId }) => decisionId === id),
    )
    return { asked, minted }
  }

  test('has the decision id and the trace of the request that caused it', async () => {
    const { asked, minted } = await recordsOf(continuing)
    assert.deepEqual([asked.traceId, minted.traceId], [theirTrace, theirTrace])
    const alone = await recordsOf(restarting)
    assert.equal(alone.asked.traceId, alone.asked.decisionId, 'a trace of its own')
    assert.equal(alone.minted.traceId, alone.asked.traceId)
    const without = await recordsOf(untraced)
    assert.deepEqual([without.asked.traceId, without.minted.traceId], [undefined, undefined])
  })

  test('says who, by what evidence, what was asked, what was given, by which rule of which rules, and never a token', async () => {
    const { asked, minted } = await recordsOf(untraced)
    const { client, caller, spiffeId, mapping, mappingRevision, parent } = minted
    assert.deepEqual(
      [client, caller?.issuer, caller?.subject, spiffeId, mapping],
      [ids.gateway, 'outside', asked.caller?.subject, asked.spiffeId, 'people'],
    )
    assert.equal(parent?.slice(0, 16), asked.caller?.tokenFingerprint)
    assert.match(String(mappingRevision), /^[0-9a-f]{12}$/)
    assert.deepEqual(minted.asked, { tokenType: 'jwt-svid', audience: ids.service })
    assert.equal(minted.minted?.jti, asked.minted?.jti)
    assert.ok(!JSON.stringify(minted).includes('eyJ'))
  })

  test('takes a trace from nobody but a gateway, and says what was asked also where it was refused', async () => {
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: rig.token(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'https://elsewhere.test',
      scope: 'a b',
    }
    const ask = async (path: string, client: object) => {
      const before = recordsIn(rig.at('exchange-audit.jsonl')).length
      await askAt(exchange.exchange.port, exchange.roots(), path, {
        method: 'POST',
        ...client,
        headers: { traceparent, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      })
      return eventually(() => recordsIn(rig.at('exchange-audit.jsonl'))[before])
    }
    const byGateway = await ask('/token', await rig.svidOf(ids.gateway))
    assert.equal(byGateway.problem, 'target-refused')
    assert.equal(byGateway.traceId, theirTrace)
    assert.deepEqual(byGateway.asked, {
      tokenType: 'access-token',
      audience: 'https://elsewhere.test',
      scope: 'a b',
    })
    const byAnother = await ask('/token', await rig.svidOf(ids.service))
    assert.equal(byAnother.problem, 'client-not-allowed')
    assert.equal(byAnother.traceId, undefined)
  })
})
