/** Names of attachments, as far as what a double click would do depends on them. */
import { decodeEncodedWords, fieldBody, findFields, type MimePart, unfold } from '../../mail/index.ts';

/** Every name a mail program might use: of the disposition and of the type, which may differ on purpose. */
export function namesOf(part: MimePart): readonly string[] {
  const names: string[] = [];
  for (const [field, name] of [[part.disposition, 'filename'] as const, [part.contentType, 'name'] as const]) {
    const text = field?.params.get(name);
    if (field === undefined || text === undefined) continue;
    const charset = field.charsets.get(name);
    const pieces =
      charset === undefined ? decodeEncodedWords(text) : [{ octets: Buffer.from(text, 'latin1'), charset }];
    names.push(pieces.map(({ octets, charset: own }) => decode(octets, own)).join(''));
  }
  // Where parameters can be read in two ways, each reading is a name.
  if (part.faults.includes('parameter')) names.push(...rawNames(part));
  return [...new Set(names)];
}

function rawNames(part: MimePart): readonly string[] {
  const fields = [
    ...findFields(part.header, part.fields, 'content-type'),
    ...findFields(part.header, part.fields, 'content-disposition'),
  ];
  return fields.flatMap((field) =>
    [...unfold(fieldBody(part.header, field)).matchAll(/name[^=;]*=\s*("[^"]*"?|[^;]*)/gi)].map(([, value = '']) =>
      value.replaceAll('"', ''),
    ),
  );
}

function decode(octets: Buffer, charset: string | undefined): string {
  try {
    return new TextDecoder(charset ?? 'utf-8').decode(octets);
  } catch {
    return octets.toString('latin1');
  }
}

/** The extensions of a name, last one last, as the systems see it that would open the file. */
export function extensionsOf(name: string): readonly string[] {
  const plain = name
    .normalize('NFKC') // full-width letters and dots look the same and mean the same to some
    .replace(/[\p{Cc}\p{Cf}]/gu, '')
    .replace(/^.*[/\\]/, '')
    .replace(/:.*$/, '') // streams of NTFS: `a.exe::$DATA` is a.exe
    .replace(/[. ]+$/, '') // Windows drops them
    .toLowerCase();
  return plain
    .split('.')
    .slice(1)
    .map((extension) => extension.trim());
}

/** Signs that make a name look as if it ended otherwise: `invoice\u202Efdp.exe` is shown as `invoiceexe.pdf`. */
export function isDisguised(name: string): boolean {
  return /[\u202d\u202e]/.test(name) || /\.[a-z0-9]{2,4}[ _]{8,}\.[a-z0-9]+$/i.test(name);
}
