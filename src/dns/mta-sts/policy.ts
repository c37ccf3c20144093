/**
 * MTA-STS policies (RFC 8461): the TXT record that says there is one, the policy itself, and which hosts it names. Both
 * texts are written by whoever owns a domain; nothing in them throws, and both have caps.
 */
import { type Domain, readDomain } from '../names.ts';

export type StsMode = 'enforce' | 'testing' | 'none';

export interface StsPolicy {
  readonly mode: StsMode;
  readonly maxAgeS: number;
  /** Host names, or `*.` and a domain. */
  readonly mx: readonly string[];
}

/** What a policy may hold; the largest known ones have some dozens of `mx` lines. */
export const MAX_POLICY_OCTETS = 64 * 1024;
const MAX_PATTERNS = 100;
/** RFC 8461 section 3.2: about a year. */
const MAX_AGE_S = 31_557_600;

/**
 * The policy's id, from all TXT records at `_mta-sts.<domain>`. RFC 8461 section 3.1: those that do not begin with the
 * version are left out, and unless exactly one remains the domain has no policy.
 */
export function readStsId(texts: readonly string[]): string | undefined {
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text));
  if (records.length !== 1) return undefined;
  const [, ...fields] = (records[0] ?? '').split(';').map((field) => field.trim());
  const id = fields.find((field) => /^id[ \t]*=/.test(field));
  return id === undefined ? undefined : /^id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})$/.exec(id)?.[1];
}

export type ReadPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'bad'; readonly rule: string };

/** RFC 8461 section 3.2. Of a key given twice the first counts, but `mx`; unknown keys are passed over. */
export function parseStsPolicy(octets: Buffer): ReadPolicy {
  if (octets.length > MAX_POLICY_OCTETS) return { kind: 'bad', rule: 'policy-octets' };
  const fields = new Map<string, string>();
  const patterns: string[] = [];
  for (const line of octets.toString('utf8').split(/\r?\n/)) {
    if (line.trim() === '') continue;
    // The value is trimmed behind the expression: one that looks for the spaces at its end tries each of 64 Ki places.
    const found = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):(.*)$/.exec(line);
    if (found === null) return { kind: 'bad', rule: 'policy-line' };
    const key = found[1] ?? '';
    const value = (found[2] ?? '').trim();
    if (key === 'mx') patterns.push(value);
    else if (!fields.has(key)) fields.set(key, value);
  }
  return judge(fields, patterns);
}

function judge(fields: ReadonlyMap<string, string>, patterns: readonly string[]): ReadPolicy {
  if (fields.get('version') !== 'STSv1') return { kind: 'bad', rule: 'policy-version' };
  const mode = fields.get('mode');
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return { kind: 'bad', rule: 'policy-mode' };
  const age = fields.get('max_age') ?? '';
  if (!/^\d{1,10}$/.test(age) || Number(age) > MAX_AGE_S) return { kind: 'bad', rule: 'policy-max-age' };
  if (patterns.length > MAX_PATTERNS) return { kind: 'bad', rule: 'policy-mx-count' };
  const mx = patterns.map(readPattern);
  if (mx.includes(undefined)) return { kind: 'bad', rule: 'policy-mx' };
  // RFC 8461 section 3.2: at least one, but for `none`, which names no hosts.
  if (mx.length === 0 && mode !== 'none') return { kind: 'bad', rule: 'policy-mx-missing' };
  return { kind: 'policy', policy: { mode, maxAgeS: Number(age), mx: mx.filter((one) => one !== undefined) } };
}

function readPattern(text: string): string | undefined {
  const isWild = text.startsWith('*.');
  const name = readDomain(isWild ? text.slice(2) : text);
  return name === undefined || !isWild ? name : `*.${name}`;
}

/** RFC 8461 section 4.1: `*.` stands for exactly one label. */
export function isNamed(host: string, policy: StsPolicy): boolean {
  const parent = host.slice(host.indexOf('.') + 1);
  return policy.mx.some((pattern) =>
    pattern.startsWith('*.') ? pattern.slice(2) === parent && parent !== host : pattern === host,
  );
}

/** `https://mta-sts.<domain>/.well-known/mta-sts.txt` */
export const POLICY_PATH = '/.well-known/mta-sts.txt';

export function policyHost(domain: Domain): Domain | undefined {
  return readDomain(`mta-sts.${domain}`);
}
