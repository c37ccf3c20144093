/** Has a person look at payment mails whose answers would go elsewhere, and lets list mail wait until the office is closed. */
import { defineService, delay, keep, quarantine } from 'opes-smtp/callout';

const OPENS = 8;
const CLOSES = 18;

/** When the office closes today; undefined where it is closed already. */
export function closingTime(now: Date): Date | undefined {
  const hour = now.getHours();
  if (hour < OPENS || hour >= CLOSES) return undefined;
  return new Date(now.getFullYear(), now.getMonth(), now.getDate(), CLOSES);
}

export default defineService({
  uri: 'https://mail.example.com/opes/quarantine-and-delay',
  wants: { headers: true },
  message({ headers }) {
    if (/\b(payment|invoice)\b/i.test(headers.text('Subject') ?? '') && headers.has('Reply-To'))
      return quarantine({ reason: 'a payment, and answers go elsewhere' });
    // It comes again then, and is judged anew: after hours there is nothing to wait for.
    const until = headers.has('List-Id') ? closingTime(new Date()) : undefined;
    return until === undefined ? keep() : delay({ until, reason: 'list mail waits for the evening' });
  },
});
