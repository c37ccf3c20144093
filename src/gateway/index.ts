/**
 * The gateway's door.
 *
 *     const gateway = await Gateway.open(options);   // options.ts says what they are; `config` makes them from a file
 *     gateway.listeners;                             // where it listens
 *     await gateway.close(10_000);                   // drains for at most ten seconds
 */
export { Gateway, type ListeningAt } from './gateway.ts';
export * from './options.ts';
export { makeRuleEngine, type RuleEngine, type RuleProblem } from './rules/index.ts';
export { checkAgentUri, findMailId, type MailIdFinding } from './trace/index.ts';
