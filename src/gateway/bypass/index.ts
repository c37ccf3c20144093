/** Requests to leave services out: read, judged, passed on. See README.md. */
export { Agents, type Named } from './agents.ts';
export { type AgentUris, joinAsked } from './asked.ts';
export { bypassField, type CommandRequest, partMail, partRcpt, withoutRequest } from './commands.ts';
export type { JudgeBypass } from './fate.ts';
export { type HeaderRequest, readBypassFields, writeBypassField } from './field.ts';
export { MailBypass } from './mail-bypass.ts';
export { type Requester, type RequestingSession, requesterOf } from './requester.ts';
