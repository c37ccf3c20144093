/** Marks the subject of mails that say they are advertising (RFC 3865 calls them solicitations). */
import { defineService, edit, keep } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://opes.example/services/rewrite-subject',
  wants: { headers: true },
  message({ headers }) {
    const subject = headers.text('Subject') ?? '';
    if (!headers.has('Solicitation') || subject.startsWith('[ADV]')) return keep();
    return edit({ headers: { replace: [['Subject', `[ADV] ${subject}`]] } });
  },
});
