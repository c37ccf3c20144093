/** What a report takes from the header of the mail it is about. */
import { fieldBody, findField, scanHeader, unfold } from '../header.ts';

export interface OriginalFacts {
  readonly messageId: string | undefined;
  /** As it stands there, unfolded; encoded words are left as they are. */
  readonly subject: string | undefined;
  /** Accept-Language and Content-Language as they stand there. */
  readonly languages: { readonly accept: string | undefined; readonly content: string | undefined };
  /** The value of the first `OPES-Via`. */
  readonly via: string | undefined;
}

export function originalFacts(header: Buffer): OriginalFacts {
  const { fields } = scanHeader(header);
  const value = (name: string): string | undefined => {
    const found = findField(header, fields, name);
    return found === undefined ? undefined : unfold(fieldBody(header, found));
  };
  return {
    messageId: value('message-id'),
    subject: value('subject'),
    languages: { accept: value('accept-language'), content: value('content-language') },
    via: value('opes-via'),
  };
}
