/**
 * Rules: the `when:` expressions of the configuration.
 *
 *   makeRuleEngine(): RuleEngine
 *   engine.compile(text): { ok: Rule } | { error: { message, line?, column?, suggestion? } }
 *   rule.reads: ReadonlySet<'client'|'session'|'listener'|'sender'|'recipient'|'message'>
 *   rule.judge(facts): boolean | { error: string }
 *   facts: { client?: { ip, name, tls }, session?: { helo, authenticated, user }, listener?: { name, side },
 *            sender?: { address, local, domain }, recipient?: { address, local, domain, prefs? },
 *            message?: { size, header: Buffer, encrypted, signed } }
 *
 * Give `judge` the same facts objects again for the same session, sender or message: what is made from them (the header
 * map above all) is kept with the object.
 */
export { type CompiledRule, makeRuleEngine, type Rule, type RuleEngine } from './engine.ts';
export { FACTS } from './environment.ts';
export type {
  ClientFacts,
  FactName,
  ListenerFacts,
  MessageFacts,
  RecipientFacts,
  RuleFacts,
  SenderFacts,
  SessionFacts,
} from './facts.ts';
export type { RuleProblem } from './problem.ts';
