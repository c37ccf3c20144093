/** Writes into each mail who sent it and to how many: a field is added, no octet of the mail is touched. */
import { defineService, edit } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://opes.example/services/add-header',
  wants: { envelope: true, recipients: true },
  message({ sender, recipients }) {
    const from = sender.address === '' ? 'a mail system' : sender.address;
    return edit({
      headers: { add: [['X-Envelope', `from ${from} to ${recipients.length} recipient(s)`]] },
    });
  },
});
