/**
 * The block of trace fields that our System puts on top of a mail: own `Received`, own `OPES-System`, own `OPES-Via`
 * (RFC 4236 section 4 carried over to mail; profile document section 7 and question 20). Older trace fields stay where
 * they are, below.
 *
 * The System stands in `OPES-System` only. `OPES-Via` exists if there are services to name or if a foreign `OPES-Via` is
 * in the mail; it then begins with the System's entry, which groups what follows (REQ-005 to REQ-007).
 */
import { FOLD_OCTETS, MAX_ENTRIES, MAX_FIELD_OCTETS } from './limits.ts';
import { agentUri, mailUri } from './uri.ts';

/** What a service did. `pending` stands while it has not ended; the block that leaves the gateway never has one. */
export type ViaOutcome =
  | 'pending'
  | 'unchanged'
  | 'edited'
  | 'header-added'
  | 'envelope-edited'
  /** Changed the client's greeting, before the mail. */
  | 'greeting-edited'
  /** Had the mail wait, and saw it again: an entry for each time. */
  | 'delayed'
  | 'skipped'
  | 'bypassed';

/** Why a service was skipped: the reasons of a failure policy. */
export type SkipReason = 'timeout' | 'unreachable' | 'crash' | 'invalid' | 'overload';

/**
 * What became of a request to leave a service out (REQ-072). `never`: it may not be left out at all; `authority`: not by whoever asked; `late`: it
 * had answered a command when the message asked.
 */
export type BypassFate = 'honoured' | 'never' | 'authority' | 'late';

export interface ViaEntry {
  readonly uri: string;
  readonly outcome: ViaOutcome;
  readonly reason?: SkipReason | undefined;
  readonly bypass?: BypassFate | undefined;
}

export interface TraceBlockParts {
  /** From `writeReceived`. */
  readonly received: string;
  readonly system: { readonly uri: string };
  readonly mailId: string;
  /** In the order the services were called. */
  readonly via: readonly ViaEntry[];
  readonly foreignViaPresent: boolean;
}

export function makeTraceBlock(parts: TraceBlockParts): Buffer {
  const system = mailUri(parts.system.uri, parts.mailId);
  const via = parts.via.length > 0 || parts.foreignViaPresent ? viaField(system, parts.via) : '';
  return Buffer.from(`${parts.received}OPES-System: ${system}\r\n${via}`, 'latin1');
}

/**
 * Folds only after commas, so that an entry is never broken. Entries that the caps leave no room for are counted in
 * parameter `more` of the last one that is written: nothing is left out silently.
 */
function viaField(system: string, via: readonly ViaEntry[]): string {
  let out = `OPES-Via: ${system}`;
  let line = out.length;
  for (let i = 0; i < via.length; i++) {
    const entry = viaEntry(via[i] as ViaEntry);
    const left = via.length - i;
    // 16: room for ",CRLF HT" and a `;more=` behind this entry.
    const isFull = i + 2 > MAX_ENTRIES || out.length + entry.length + 16 > MAX_FIELD_OCTETS;
    if (isFull) return `${out};more=${left}\r\n`;
    if (line + entry.length + 3 > FOLD_OCTETS) {
      out += `,\r\n\t${entry}`;
      line = 1 + entry.length;
    } else {
      out += `, ${entry}`;
      line += 2 + entry.length;
    }
  }
  return `${out}\r\n`;
}

function viaEntry(entry: ViaEntry): string {
  const reason = entry.reason === undefined ? '' : `;reason=${entry.reason}`;
  const bypass = entry.bypass === undefined ? '' : BYPASS[entry.bypass];
  return `${agentUri(entry.uri)};outcome=${entry.outcome}${reason}${bypass}`;
}

const BYPASS: Readonly<Record<BypassFate, string>> = {
  honoured: ';bypass=honoured',
  never: ';bypass=refused;why=never',
  authority: ';bypass=refused;why=authority',
  late: ';bypass=late',
};
