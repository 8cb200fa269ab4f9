/** A rule that lets people go to one service, with each credential at a path of its name. */
export const aPathForEach = (credentials: object, port: number, opens: readonly string[]) => ({
  id: 'people',
  workloads: ['spiffe://mesh.example/user/*'],
  destinations: Object.keys(credentials).map((credential) => ({
    hosts: ['api.lan'],
    protocol: 'https' as const,
    ports: [port],
    opens: [...opens],
    paths: [`/${credential}`],
    credential,
  })),
})
