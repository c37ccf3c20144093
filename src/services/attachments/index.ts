/**
 * A policy for attachments: refuses programs, scripts, documents with macros, shortcuts and disk images, by what they are
 * called and by what they really are. The sender is told which attachment and why, before anything was accepted.
 */
import { asBuffer } from '../../base/index.ts';
import { defineService, keep, type MessageVerdict, refuse, type Service } from '../../callout/index.ts';
import { allParts, MimeScanner } from '../../mail/index.ts';
import { judge, type Objection, type Policy } from './judge.ts';
import { KINDS, type Kind } from './kinds.ts';
import { PartHeads } from './part-heads.ts';

export interface AttachmentOptions {
  /** The name it is called by. */
  readonly uri?: string;
  /** The kinds that are refused; all by default. */
  readonly refuse?: readonly Kind[];
  /** More extensions to refuse, without their dot. */
  readonly refuseExtensions?: readonly string[];
  /** Extensions to let in, whatever the kind says. */
  readonly allowExtensions?: readonly string[];
  /** What is done with a part that cannot be looked at, or that two programs would read in two ways. */
  readonly unclear?: 'refuse' | 'keep';
  /** A second line of the reply: what the sender may do instead. */
  readonly advice?: string;
}

/**
 * Makes the service.
 * @example
 * makeAttachments({ allowExtensions: ['sh'], advice: 'Please use https://files.example.com' });
 */
export function makeAttachments(options: AttachmentOptions = {}): Service {
  const { uri = 'https://opes.example/services/attachments', advice } = options;
  const policy: Policy = {
    kinds: new Set(options.refuse ?? KINDS),
    refused: lowerSet(options.refuseExtensions),
    allowed: lowerSet(options.allowExtensions),
    refuseUnclear: options.unclear !== 'keep',
  };
  return defineService({
    uri,
    wants: { body: 'stream' },
    async message(mail, { log }): Promise<MessageVerdict> {
      const objection = await examine(mail.content, policy);
      if (objection === undefined) return keep();
      log.info('attachment-refused', { name: objection.name, why: objection.why });
      return refuse(550, '5.7.1', wordsFor(objection), ...(advice === undefined ? [] : [advice]));
    },
  });
}

export default makeAttachments();

async function examine(content: AsyncIterable<Uint8Array>, policy: Policy): Promise<Objection | undefined> {
  const scanner = new MimeScanner();
  const heads = new PartHeads();
  for await (const chunk of content) {
    const octets = asBuffer(chunk);
    scanner.feed(octets);
    heads.feed(octets);
  }
  for (const part of allParts(scanner.end())) {
    const objection = await judge(part, heads.read(part.bodyStart, part.bodyEnd), policy);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

/** Names longer than this are cut in a reply: its line is 512 octets long at most. */
const NAME_CHARACTERS = 80;

function wordsFor({ name, why }: Objection): string {
  if (name === undefined) return `Attachment not accepted: ${why}`;
  const shown = name.length > NAME_CHARACTERS ? `...${name.slice(-NAME_CHARACTERS)}` : name;
  return `Attachment "${shown.replaceAll('"', "'")}" not accepted: ${why}`;
}

function lowerSet(extensions: readonly string[] = []): ReadonlySet<string> {
  return new Set(extensions.map((extension) => extension.toLowerCase().replace(/^\./, '')));
}
