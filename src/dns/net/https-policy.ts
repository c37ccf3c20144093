/**
 * Fetches MTA-STS policies (RFC 8461 section 3.3): HTTPS with a certificate that the web's authorities vouch for, no
 * redirects, `text/plain`, a cap on the size, one deadline for all of it. Addresses come from our own resolver.
 */
import { request } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Fetched, FetchPolicy } from '../mta-sts/policies.ts';
import { MAX_POLICY_OCTETS, POLICY_PATH, policyHost } from '../mta-sts/policy.ts';
import { type Domain, isIpv6 } from '../names.ts';
import type { Resolve } from '../resolver.ts';

export interface HttpsPolicyOptions {
  readonly resolver: Resolve;
  /** Authorities in place of the system's, as PEM. */
  readonly ca?: string | Buffer;
  /** 443 everywhere but in tests. */
  readonly port?: number;
  /** The RFC suggests a minute, for a queue; here a client waits for its RCPT. */
  readonly timeoutMs?: number;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 10_000;
/** Header fields of the web server's answer. */
const MAX_HEADER_OCTETS = 16 * 1024;

export function httpsPolicies(options: HttpsPolicyOptions): FetchPolicy {
  return (domain) => fetchPolicy(domain, options);
}

function fetchPolicy(domain: Domain, options: HttpsPolicyOptions): Promise<Fetched> {
  const host = policyHost(domain);
  if (host === undefined) return Promise.resolve(failed('its name is too long'));
  return new Promise((resolve) => {
    const asked = request({
      host,
      port: options.port ?? 443,
      path: POLICY_PATH,
      servername: host,
      lookup: lookupBy(options.resolver, host),
      agent: false,
      minVersion: 'TLSv1.2',
      maxHeaderSize: MAX_HEADER_OCTETS,
      headers: { accept: 'text/plain', 'user-agent': 'opes-smtp' },
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const settle = (outcome: Fetched): void => {
      clearTimeout(timer);
      resolve(outcome);
      asked.destroy();
    };
    const timer = setTimeout(() => settle(failed('no answer in time')), options.timeoutMs ?? TIMEOUT_MS);
    asked.on('error', (error) => settle(failed((error as NodeJS.ErrnoException).code ?? error.message)));
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      let octets = 0;
      const refusal = refusalOf(response.statusCode, response.headers['content-type']);
      if (refusal !== undefined) {
        settle(failed(refusal));
        return;
      }
      response.on('error', () => settle(failed('the answer was cut short')));
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        if (octets > MAX_POLICY_OCTETS) settle(failed(`more than ${MAX_POLICY_OCTETS} octets`));
        else chunks.push(chunk);
      });
      response.on('end', () => settle({ kind: 'fetched', octets: Buffer.concat(chunks) }));
    });
    asked.end();
  });
}

/** Section 3.3: 200 and nothing else; a redirect is a failure. */
function refusalOf(status: number | undefined, type: string | undefined): string | undefined {
  if (status !== 200) return `status ${status}`;
  return /^text\/plain[ \t]*(?:;|$)/i.test(type ?? '') ? undefined : 'not text/plain';
}

/** As `dns.lookup` would, by way of our resolver. */
function lookupBy(resolver: Resolve, host: Domain): LookupFunction {
  return (_name, options, done) => {
    void Promise.all([resolver.resolve(host, 'AAAA'), resolver.resolve(host, 'A')]).then((answers) => {
      const addresses = answers
        .flatMap((answer) => (answer.kind === 'records' ? answer.records : []))
        .map(({ address }) => ({ address, family: isIpv6(address) ? 6 : 4 }));
      const [first] = addresses;
      if (first === undefined) done(Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' }), '');
      else if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

function failed(detail: string): Fetched {
  return { kind: 'failed', detail };
}
