/**
 * The gateway's door.
 *
 *     const gateway = await Gateway.open(options);   // options.ts says what they are; `config` makes them from a file
 *     gateway.listeners;                             // where it listens
 *     await gateway.close(10_000);                   // drains for at most ten seconds
 */

export { isOpenRelay } from './dispatch/relay-permission.ts';
export { Gateway, type ListeningAt } from './gateway.ts';
export * from './options.ts';
export { makeRuleEngine, type RuleEngine, type RuleProblem } from './rules/index.ts';
export { checkAgentUri } from './trace/index.ts';
