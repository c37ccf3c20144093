export { CalloutAgent } from './callout/agent.ts';
export type {
  CalloutEvents,
  CalloutOptions,
  CalloutTransaction,
  CalloutTransactionEvents,
} from './callout/types.ts';
export * from './codec/index.ts';
export { copyOctets } from './flow/copy.ts';
export { type ConnectionEnd, failure, isFailure, PARTIAL, type TransactionEnd } from './flow/result.ts';
export type { ConnectionRule, FlowRule, Rule } from './flow/rules.ts';
export { MAX_DUM_OCTETS } from './flow/transaction.ts';
export type { TimerKind } from './negotiation/connection.ts';
export { type AgentLimits, DEFAULT_AGENT_LIMITS } from './negotiation/limits.ts';
export { type Ability, UNSUPPORTED } from './negotiation/negotiator.ts';
export {
  type CalloutChannel,
  type CalloutListener,
  type ChannelEvents,
  type ChannelOptions,
  type ChannelTimeouts,
  type Endpoint,
  isLoopback,
  type ListenOptions,
  listenCallout,
  ProcessorChannel,
  parseEndpoint,
  type TlsOptions,
  writeEndpoint,
} from './net/index.ts';
export { ProcessorAgent } from './processor/agent.ts';
export type {
  AnswerDetails,
  KeptForm,
  ProcessorEvents,
  ProcessorOptions,
  ProcessorTransaction,
  ProcessorTransactionEvents,
} from './processor/types.ts';
