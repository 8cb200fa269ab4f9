import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'

export type Keycloak = {
  readonly issuer: string
  readonly tokenFor: (username: string) => Promise<string>
  /** A new key signs from now on; the old one stays published. */
  readonly rotateKeys: () => Promise<void>
  readonly close: () => Promise<void>
}

const startTimeoutMs = 280_000
const admin = 'admin'

/** A real Keycloak with one realm, in a folder of its own. */
export const runKeycloak = async (home: string): Promise<Keycloak> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keycloak-'))
  for (const part of ['bin', 'lib', 'providers', 'themes', 'version.txt', 'conf'])
    // What it writes to is copied, the rest is only looked at.
    if (part === 'lib' || part === 'bin' || part === 'conf')
      cpSync(join(home, part), join(folder, part), { recursive: true })
    else symlinkSync(join(home, part), join(folder, part))
  mkdirSync(join(folder, 'data/import'), { recursive: true })
  cpSync(
    fileURLToPath(new URL('realm.json', import.meta.url)),
    join(folder, 'data/import/realm.json'),
  )
  const port = await freePort()
  const child = spawn(
    join(folder, 'bin/kc.sh'),
    [
      'start-dev',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      '--cache=local',
      '--import-realm',
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: admin,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
      },
    },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000)))
  const close = async () => {
    child.kill('SIGKILL') // kc.sh has become java by exec
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
  const base = `http://127.0.0.1:${port}`
  const issuer = `${base}/realms/shop`
  try {
    await answers(`${issuer}/.well-known/openid-configuration`, () => child.exitCode !== null)
  } catch {
    await close()
    throw new Error(`Keycloak did not start:\n${said}`)
  }

  const grant = async (realm: string, form: Record<string, string>) => {
    const answer = await fetch(`${base}/realms/${realm}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password', ...form }),
    })
    const body = (await answer.json()) as { access_token?: string; error?: string }
    if (body.access_token === undefined) throw new Error(`Keycloak gave no token: ${body.error}`)
    return body.access_token
  }

  return {
    issuer,
    close,
    tokenFor: (username) =>
      grant('shop', {
        client_id: 'web',
        client_secret: 'web-secret-of-the-test',
        username,
        password: 'demo',
      }),
    rotateKeys: async () => {
      const token = await grant('master', {
        client_id: 'admin-cli',
        username: admin,
        password: admin,
      })
      const answer = await fetch(`${base}/admin/realms/shop/components`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          name: 'newer',
          providerId: 'rsa-generated',
          providerType: 'org.keycloak.keys.KeyProvider',
          config: { priority: ['1000'], algorithm: ['RS256'], keySize: ['2048'] },
        }),
      })
      if (!answer.ok) throw new Error(`no new key: ${answer.status} ${await answer.text()}`)
    },
  }
}

const answers = async (url: string, hasEnded: () => boolean): Promise<void> => {
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += 500) {
    if (hasEnded()) break
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return
    await sleep(500)
  }
  throw new Error('it does not answer')
}

const freePort = async () => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
