/** What became of one recipient of an accepted mail, and of which mail: what decisions on reports are made of. */
import type { StoredDelivery, StoredMail } from '../../store/index.ts';
import type { ReplyRecord } from '../options.ts';

/** A mail as the store has it, and what its facts say of its sender. Text is as the store keeps it: octets, one a character. */
export interface MailOfReport extends Pick<StoredMail, 'id' | 'acceptedMs' | 'reversePath' | 'params'> {
  /**
   * The reverse-path is who it says: the client was authenticated for it, or SPF or DKIM speak for it. To anybody else no
   * verdict on content is reported and no content returned (D19): a forged sender would get what a stranger wrote.
   */
  readonly isSenderTrusted: boolean;
  /** Who sent it to us. */
  readonly client: { readonly name: string; readonly address: string } | undefined;
}

export interface DeliveryOfReport extends Pick<StoredDelivery, 'n' | 'params'> {
  /** As the sender's side named it in RCPT, whatever a service made of it. */
  readonly recipient: string;
  readonly fate: Fate;
  /** When it was last tried; undefined: it never got so far. */
  readonly lastAttemptMs: number | undefined;
}

/** `hop`: the name of the server it was offered to. */
export type Fate =
  /** By SMTP, 2yz. What `speaksDsn` reports on success itself (RFC 3461, 5.2.1). */
  | { readonly kind: 'relayed'; readonly hop: string; readonly speaksDsn: boolean; readonly reply: ReplyRecord }
  /** Into a mailbox: by LMTP, or our own. */
  | { readonly kind: 'delivered'; readonly hop: string | undefined; readonly reply: ReplyRecord | undefined }
  /** To several addresses behind this one (RFC 3461, 5.2.7.3). */
  | { readonly kind: 'expanded' }
  | {
      readonly kind: 'delayed';
      readonly hop: string | undefined;
      readonly reply: ReplyRecord | undefined;
      readonly untilMs: number;
    }
  | { readonly kind: 'refused'; readonly hop: string; readonly reply: ReplyRecord }
  /** The hop lacks an extension; `reply` is ours (5.6.3, 5.6.7). */
  | { readonly kind: 'cannot-carry'; readonly hop: string; readonly reply: ReplyRecord | undefined }
  | { readonly kind: 'no-route'; readonly reply: ReplyRecord | undefined }
  | { readonly kind: 'loop' }
  | { readonly kind: 'expired'; readonly hop: string | undefined; readonly reply: ReplyRecord | undefined }
  /** By OPES processing. */
  | {
      readonly kind: 'blocked';
      /**
       * `verdict`: the service said so; `failure`: it did not work, and its failure policy says so; `delay`: it had the mail
       * wait until its time was over.
       */
      readonly by: 'verdict' | 'failure' | 'delay';
      readonly service: { readonly uri: string; readonly isBypassable: boolean };
      /** Reason of the failure policy. */
      readonly reason: string | undefined;
      readonly reply: ReplyRecord | undefined;
      /** A verdict on what stands in the mail, which its sender may not have written. */
      readonly isOnContent: boolean;
    };

export type FateClass = 'success' | 'delayed' | 'failed';

export function classOf(fate: Fate): FateClass {
  switch (fate.kind) {
    case 'relayed':
    case 'delivered':
    case 'expanded':
      return 'success';
    case 'delayed':
      return 'delayed';
    case 'refused':
    case 'cannot-carry':
    case 'no-route':
    case 'loop':
    case 'expired':
    case 'blocked':
      return 'failed';
  }
}
