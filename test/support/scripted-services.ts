/** Scripted services in a row, for tests of a mail's way through the gateway. */
import type { Bypassable, CommandName, FailureAction, Permission, RouteOptions } from '../../src/gateway/options.ts';
import type { SpoolPort } from '../../src/gateway/spool/port.ts';
import type { CalloutTransaction, ProcessorAgent } from '../../src/ocp/index.ts';
import { type Advice, answerBlock } from '../../src/profile/index.ts';
import { MailRig } from './mail-rig.ts';
import { type GotPart, MemoryCallouts, type Script, serviceOptions } from './memory-callout.ts';

/** A small mail as a client sends it. */
export const MAIL = 'From: a@src.example\r\nSubject: test\r\n\r\nHello\r\n';
/** Everything a service of these tests may do. */
export const ALL: readonly Permission[] = [
  'refuse',
  'tempfail',
  'add-header',
  'edit-header',
  'edit-content',
  'rewrite-recipient',
  'rewrite-sender',
  'rewrite-command',
];

/** Answers every adaptive part with itself, by reference. */
export function keepAll(adaptive: Script['adaptive']): Script {
  return {
    adaptive,
    informative: ['IP', 'EHLO', 'MAIL'].filter((part) => !adaptive.includes(part as never)) as Script['adaptive'],
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== undefined && part.part !== 'RAWDATA' && adaptive.includes(part.part))
        tx.useYours(part.offset, part.octets.length);
    },
    onOriginalEnd(tx, all) {
      keepData(tx, all);
      finish(tx);
    },
  };
}

export function keepData(tx: CalloutTransaction, all: readonly GotPart[], block = ''): void {
  for (const part of all) if (part.part === 'RAWDATA') tx.useYours(part.offset, part.octets.length, block);
}

export function finish(tx: CalloutTransaction): void {
  tx.endMessage();
  tx.end();
}

/** Adds one field and keeps the rest. */
export function adds(field: string): Script {
  return {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, answerBlock(undefined, { addHeaders: [field] }));
      finish(tx);
    },
  };
}

/** Refuses what it sees, at its end. */
export function refuses(smtpError: string): Script {
  return {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      tx.sendData(answerBlock('RAWDATA', { smtpError }), [], 0);
      finish(tx);
    },
  };
}

/** Says this at the end of the content, on a data message of its own. */
export function advises(advice: Advice): Script {
  return {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      tx.sendData(answerBlock('RAWDATA', { advice }), [], 0);
      finish(tx);
    },
  };
}

/** Dies at the end of the content. */
export const dies: Script = {
  ...keepAll(['RAWDATA']),
  onOriginalEnd(tx) {
    tx.end({ code: 400, reason: 'broken' });
  },
};

export interface RigOptions {
  may?: readonly Permission[];
  onFailure?: FailureAction;
  timeoutMs?: number;
  chunk?: number;
  when?: string;
  /** Of single services, by place, over the ones above. */
  each?: readonly {
    readonly when?: string;
    readonly onFailure?: FailureAction;
    readonly bypassable?: Bypassable;
    readonly buildsOn?: readonly string[];
  }[];
  /** What all services are asked about beside mails. */
  commands?: readonly CommandName[];
  routes?: readonly RouteOptions[];
  spool?: SpoolPort;
}

/** A rig whose pipeline is one scripted service after the other, `s1`, `s2`, ...; `agents` are the processor's ends. */
export function rigWith(scripts: readonly Script[], options: RigOptions = {}) {
  const callouts = new MemoryCallouts(options.chunk);
  const agents: ProcessorAgent[] = [];
  const open = callouts.world.openChannel;
  (callouts.world as { openChannel: typeof open }).openChannel = (...args) => {
    const opened = open(...args);
    agents.push(opened.agent);
    return opened;
  };
  const may = new Set(options.may ?? ALL);
  const pipeline = scripts.map((script, i) => {
    callouts.servers.set(i + 1, script);
    const { bypassable = 'never', ...each } = options.each?.[i] ?? {};
    const service = { ...serviceOptions(`s${i + 1}`, may, [i + 1], options.commands), bypassable };
    return { options: service, ...options, ...each };
  });
  return { rig: new MailRig(callouts, pipeline, options.routes, options.spool), callouts, agents };
}

/** What the hop got. */
export const body = (delivered: { content: Buffer } | undefined) => delivered?.content.toString('latin1') ?? '';
