/** A service of the tests: keeps aside, or puts off, what the Subject says. What it lets pass carries its mark. */
import { defineService, delay, edit, quarantine } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/verdicts',
  wants: { headers: true },
  message({ headers }) {
    const [word, argument = ''] = (headers.text('Subject') ?? '').split(' ');
    if (word === 'quarantine') return quarantine({ reason: `test of ${argument}` });
    if (word === 'until' && Date.now() < Number(argument))
      return delay({ until: new Date(Number(argument)), reason: 'not yet' });
    if (word === 'always') return delay({ forMs: Number(argument), reason: 'never ready' });
    return edit({ headers: { add: [['X-Verdict', 'passed']] } });
  },
});
