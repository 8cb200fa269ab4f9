/**
 * Finds RSA moduli that Infineon's library made (ROCA, CVE-2017-15361): they can be factored from the public key alone.
 * Such a modulus is a power of 65537 modulo each of these primes; another one is so for all 17 with a chance of 2^-27.
 */
const primes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157] as const

const powersOf65537 = primes.map((prime) => {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * (65537 % prime)) % prime)
    powers.add(power)
  return { prime: BigInt(prime), powers }
})

export const isRocaModulus = (modulus: bigint): boolean =>
  powersOf65537.every(({ prime, powers }) => powers.has(Number(modulus % prime)))
