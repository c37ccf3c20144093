/** The words of our rules in the expression language: variables, their types, and functions of our own. */
import { Environment } from '@marcbachmann/cel-js';
import type { RE2JS } from 're2js';
import { Client, type FactName, Listener, Message, Recipient, Sender, Session } from './facts.ts';
import { isInNetwork, type Network } from './network.ts';

/** Type name and fields of each variable; the page about rules is written from this. */
export const FACTS: ReadonlyMap<
  FactName,
  { readonly type: string; readonly fields: Readonly<Record<string, string>> }
> = new Map([
  ['client', { type: 'Client', fields: { ip: 'string', name: 'string', tls: 'bool' } }],
  ['session', { type: 'Session', fields: { helo: 'string', authenticated: 'bool', user: 'string' } }],
  ['listener', { type: 'Listener', fields: { name: 'string', side: 'string' } }],
  ['sender', { type: 'Sender', fields: { address: 'string', local: 'string', domain: 'string' } }],
  [
    'recipient',
    {
      type: 'Recipient',
      fields: { address: 'string', local: 'string', domain: 'string', prefs: 'map<string, string>' },
    },
  ],
  [
    'message',
    {
      type: 'Message',
      fields: { size: 'int', headers: 'map<string, string>', encrypted: 'bool', signed: 'bool' },
    },
  ],
]);

const CLASSES: Readonly<Record<FactName, abstract new (...args: never[]) => object>> = {
  client: Client,
  session: Session,
  listener: Listener,
  sender: Sender,
  recipient: Recipient,
  message: Message,
};

/** The name that `matches` gets before an expression is checked: the package's own takes time that grows without bound. */
export const LINEAR_MATCHES = 'matchesInLinearTime';

/**
 * The fields that are maps of text, and the hidden field beside each that `in` is judged on. In the map itself a missing
 * name reads as `''`; the package asks both questions with the same call, so they need two maps.
 */
export const TEXT_MAPS: ReadonlyMap<string, string> = new Map([
  ['message', 'headers'],
  ['recipient', 'prefs'],
]);
export const PRESENT = 'presentNames';

/** What the literals of all compiled rules became; filled by the check of the tree, before a rule can run. */
export interface Literals {
  readonly patterns: Map<string, RE2JS>;
  readonly networks: Map<string, Network>;
}

/** Far above what a person writes, far below what could cost time or stack. */
const LIMITS = { maxAstNodes: 2000, maxDepth: 60, maxListElements: 1000, maxMapEntries: 100, maxCallArguments: 8 };

export function makeEnvironment(literals: Literals): Environment {
  const environment = new Environment({ limits: LIMITS });
  for (const [name, { type, fields }] of FACTS) {
    const hidden = TEXT_MAPS.get(name) === undefined ? {} : { [PRESENT]: 'map<string, string>' };
    environment.registerType(type, { ctor: CLASSES[name], fields: { ...fields, ...hidden } });
    environment.registerVariable(name, type);
  }
  const sync = { async: false };
  const inNetwork = (ip: string, text: string) => {
    const network = literals.networks.get(text);
    return network !== undefined && isInNetwork(ip, network);
  };
  return environment
    .registerFunction('Message.values(string): list<string>', (m: Message, name: string) => m.values(name), sync)
    .registerFunction(
      `string.${LINEAR_MATCHES}(string): bool`,
      (text: string, pattern: string) => literals.patterns.get(pattern)?.test(text) === true,
      sync,
    )
    .registerFunction('inNetwork(string, string): bool', inNetwork, sync)
    .registerFunction(
      'inNetwork(string, list<string>): bool',
      (ip: string, texts: readonly string[]) => texts.some((text) => inNetwork(ip, text)),
      sync,
    )
    .registerFunction('inDomain(string, string): bool', isInDomain, sync)
    .registerFunction(
      'inDomain(string, list<string>): bool',
      (name: string, domains: readonly string[]) => domains.some((domain) => isInDomain(name, domain)),
      sync,
    );
}

/** The domain itself or a name below it, in any case. */
function isInDomain(name: string, domain: string): boolean {
  const lower = name.toLowerCase();
  const above = domain.toLowerCase();
  return lower === above || lower.endsWith(`.${above}`);
}
