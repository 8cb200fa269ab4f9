/** Whether a workload goes somewhere for the first time since the start; in bounded memory, the oldest forgotten first. */
export const firstVisits = (
  maxVisits = 100_000,
): ((spiffeId: string, place: string) => boolean) => {
  const seen = new Set<string>()
  return (spiffeId, place) => {
    const visit = `${spiffeId} ${place}`
    if (seen.has(visit)) return false
    const [oldest] = seen
    if (seen.size >= maxVisits && oldest !== undefined) seen.delete(oldest)
    seen.add(visit)
    return true
  }
}
