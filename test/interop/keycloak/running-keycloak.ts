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
const pollMs = 250
const admin = 'admin'

/** Starts a real Keycloak with one realm, over plain HTTP. `home` is a built one, as `.ci/run` leaves it. */
export const runKeycloak = async (home: string): Promise<Keycloak> => {
  const folder = folderFor(home)
  const port = await freePort()
  const child = spawn(
    join(folder, 'bin/kc.sh'),
    [
      'start',
      '--optimized',
      '--http-enabled=true',
      '--hostname-strict=false',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      '--import-realm',
    ],
    {
      detached: true, // a group of its own: the shell script waits for Java, and would not take it along
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: admin,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1', // it lives too briefly for the better compiler to pay
      },
    },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000)))
  const ended = once(child, 'exit')
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const close = async () => {
    if (child.pid !== undefined && !hasEnded()) process.kill(-child.pid, 'SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  const base = `http://127.0.0.1:${port}`
  const issuer = `${base}/realms/shop`
  if (!(await answers(`${issuer}/.well-known/openid-configuration`, hasEnded))) {
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

/** Keycloak finds itself by where its script is, and writes beside it: that much is a copy. */
const folderFor = (home: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keycloak-'))
  for (const copied of ['bin', 'conf'])
    cpSync(join(home, copied), join(folder, copied), { recursive: true })
  for (const only of ['lib', 'providers', 'themes', 'version.txt'])
    symlinkSync(join(home, only), join(folder, only))
  mkdirSync(join(folder, 'data/import'), { recursive: true })
  cpSync(
    fileURLToPath(new URL('realm.json', import.meta.url)),
    join(folder, 'data/import/realm.json'),
  )
  return folder
}

const answers = async (url: string, hasEnded: () => boolean): Promise<boolean> => {
  const until = performance.now() + startTimeoutMs
  while (performance.now() < until && !hasEnded()) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return true
    await sleep(pollMs)
  }
  return false
}

const freePort = async () => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
