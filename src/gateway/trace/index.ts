/**
 * The trace of our System: made, read, guarded. Pure functions.
 *
 *   checkAgentUri(uri): string | undefined                        at load: why a URI may not stand in a trace
 *   sessionClauses(reception)   writeReceived(clauses, reception): string   one field, CRLF at its end
 *   makeTraceBlock({ received, system, mailId, via, foreignViaPresent }): Buffer
 *   parseTraceField(octets): TraceField | undefined               OPES-System and OPES-Via, caps inside
 *   protectedFields(header): readonly { start, end }[]            what nobody may touch
 *   olderTrace(header): Buffer   traceFacts(header): { hops, hasForeignVia, bypass }
 *   beginsFolded(mail): boolean                                   then an empty line goes between block and mail
 *   verifyTrace({ block, older }, outputHeader): { intact, repaired?, foreign?, missing? }
 *   traceReplyLine(systemUri, mailId): string   addTraceToReply(reply, line): reply
 *
 * In the course of a mail: `older = olderTrace(header)`; a block with `outcome=pending` is what the services see on top
 * of the mail; at release `verifyTrace({ block: thatBlock, older }, outputHeader)`. Intact or repaired, the header then
 * begins with `thatBlock`, whose octets the caller replaces by the block with the final outcomes.
 */
export {
  type BypassFate,
  makeTraceBlock,
  type SkipReason,
  type TraceBlockParts,
  type ViaEntry,
  type ViaOutcome,
} from './block.ts';
export { findMailId, type MailIdFinding } from './find-id.ts';
export { parseTraceField, type TraceEntry, type TraceField } from './parse.ts';
export {
  beginsFolded,
  type OctetRange,
  olderTrace,
  protectedFields,
  type TraceCheck,
  type TraceExpectation,
  type TraceFacts,
  traceFacts,
  verifyTrace,
} from './protect.ts';
export {
  type ReceivedProtocol,
  type Reception,
  type SessionClauses,
  sessionClauses,
  writeReceived,
} from './received.ts';
export { addTraceToReply, traceReplyLine } from './reply.ts';
export { checkAgentUri, encodeUri, mailUri } from './uri.ts';
