/**
 * TLS towards a next hop: by what policy, with whom, and whether it is who it should be. One object a hop, so that trust
 * anchors are read once and sessions are taken up again.
 *
 * TLS 1.2 is the least, with every policy (RFC 8996 forbids what is older). The certificate is judged here and not by
 * Node's own check, which knows one name and no TLSA record.
 */
import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { TlsMode } from '../client/opening.ts';
import { checkTlsa, type TlsaRecord } from './tlsa.ts';

/** By what a hop is known. */
export type PeerVerify =
  /** A certificate that a trust anchor vouches for, for one of these names or addresses. */
  | { readonly kind: 'names'; readonly names: readonly string[] }
  /** DANE: the records decide; `names` are for usage 2. */
  | { readonly kind: 'tlsa'; readonly records: readonly TlsaRecord[]; readonly names: readonly string[] };

export interface HopTls {
  /**
   * `none`: clear text. `may`: STARTTLS where offered, any certificate, and clear text where TLS fails (RFC 7435).
   * `require`: TLS or no mail, any certificate. `verify`: TLS with whom `verify` says, or no mail.
   */
  readonly policy: 'none' | 'may' | 'require' | 'verify';
  /** The name sent along (SNI), and verified unless `verify` says otherwise; absent: the host. */
  readonly serverName?: string | undefined;
  /** PEM, in place of the well-known trust anchors. */
  readonly ca?: Buffer | undefined;
  readonly verify?: PeerVerify | undefined;
}

export class HopSecurity {
  readonly mode: TlsMode;
  readonly #policy: HopTls['policy'];
  readonly #serverName: string;
  readonly #ca: Buffer | undefined;
  readonly #verify: PeerVerify;
  #context: SecureContext | undefined;
  /** The last of a connection whose peer was found right. A hop that knows it no more does a whole handshake instead. */
  #session: Buffer | undefined;

  constructor(tls: HopTls, host: string, isImplicit: boolean) {
    const { policy, serverName = host, ca } = tls;
    this.#policy = policy;
    this.#serverName = serverName;
    this.#ca = ca;
    this.#verify = tls.verify ?? { kind: 'names', names: [serverName] };
    this.mode = isImplicit ? 'implicit' : policy === 'none' || policy === 'may' ? policy : 'must';
  }

  connect(plain: Socket): TLSSocket {
    this.#context ??= createSecureContext({ minVersion: 'TLSv1.2', ...(this.#ca && { ca: this.#ca }) });
    const session = this.#session;
    return connect({
      socket: plain,
      secureContext: this.#context,
      // Judged by `flawOf`, once it stands.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(isIP(this.#serverName) === 0 && { servername: this.#serverName }),
      ...(session && { session }),
    });
  }

  /** Why the hop at the other end is not to be trusted; undefined where it is. */
  flawOf(secure: TLSSocket): string | undefined {
    if (this.#policy !== 'verify') return undefined;
    // The first time it was judged by the same measure: a session of a peer found wrong is not kept.
    if (secure.isSessionReused()) return undefined;
    return this.#verify.kind === 'names' ? flawByNames(secure, this.#verify.names) : flawByTlsa(secure, this.#verify);
  }

  /** For connections whose peer was found right: its session is for the next one. */
  keepSessions(secure: TLSSocket): void {
    // TLS 1.2 has told its session by now, TLS 1.3 tells it with its first data.
    if (secure.getProtocol() === 'TLSv1.2') this.#session = secure.getSession();
    secure.on('session', (session) => {
      this.#session = session;
    });
  }
}

function flawByNames(secure: TLSSocket, names: readonly string[]): string | undefined {
  // Node sets the code of the check that failed, whatever its types say.
  if (!secure.authorized) return `its certificate is not trusted: ${String(secure.authorizationError)}`;
  const certificate = secure.getPeerCertificate();
  const flaws = names.map((name) => checkServerIdentity(name, certificate)?.message);
  return names.length > 0 && flaws.includes(undefined) ? undefined : `its certificate is not for ${names.join(' or ')}`;
}

function flawByTlsa(secure: TLSSocket, { records, names }: PeerVerify & { readonly kind: 'tlsa' }): string | undefined {
  const verdict = checkTlsa(records, chainOf(secure), names, Date.now());
  return verdict.kind === 'matched' ? undefined : verdict.why;
}

/** The peer's certificate and its issuers, as far as they are known; the last is its own issuer, or its issuer is not there. */
function chainOf(secure: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = secure.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < 16) {
    chain.push(new X509Certificate(next.raw));
    const issuer: DetailedPeerCertificate | undefined = next.issuerCertificate;
    next = issuer === next ? undefined : issuer;
  }
  return chain;
}
