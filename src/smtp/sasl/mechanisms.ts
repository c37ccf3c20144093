/** The mechanisms we offer, by name, and what others get. */
import { LoginServer } from './login-server.ts';
import type { Mechanism, SaslServer } from './mechanism.ts';
import { PlainServer } from './plain-server.ts';
import { ScramServer } from './scram-server.ts';

const MAKERS: ReadonlyMap<string, () => SaslServer> = new Map<Mechanism, () => SaslServer>([
  ['SCRAM-SHA-256', () => new ScramServer()],
  ['PLAIN', () => new PlainServer()],
  ['LOGIN', () => new LoginServer()],
]);

/** Broken or empty by design (RFC 6331, RFC 4505): who asks for one hears that, not that we never heard of it. */
const WEAK: ReadonlySet<string> = new Set(['CRAM-MD5', 'DIGEST-MD5', 'NTLM', 'ANONYMOUS', 'SCRAM-SHA-1']);

export function isOffered(mechanism: string): boolean {
  return MAKERS.has(mechanism);
}

export function isWeak(mechanism: string): boolean {
  return WEAK.has(mechanism);
}

export function makeSaslServer(mechanism: string): SaslServer | undefined {
  return MAKERS.get(mechanism)?.();
}
