/** Who the client is beside its address: what it proved by AUTH, and what proxies we believe say of the client behind them. */
import { type ClientAttributes, NO_ATTRIBUTES } from './client-attributes.ts';

export class Identity {
  /** Who logged in, or ''. It outlives RSET and EHLO (RFC 4954, 4). */
  user = '';
  /** What XCLIENT said; for the rest of the session. */
  client: ClientAttributes = NO_ATTRIBUTES;
  /** What XFORWARD said; of the next mail only, for the one behind it may be another's. */
  forwarded: ClientAttributes = NO_ATTRIBUTES;

  /**
   * RFC 3207, 4.2: whatever was said in the clear is forgotten. What XCLIENT said stays: were it forgotten, a client behind a
   * proxy that passes commands on would become the proxy by STARTTLS.
   */
  onSecured(): void {
    this.user = '';
    this.forwarded = NO_ATTRIBUTES;
  }

  /** Attributes it does not name stay (XCLIENT_README); a login is given anew or gone. */
  onXclient(attributes: ClientAttributes): void {
    this.client = new Map([...this.client, ...attributes]);
    this.forwarded = NO_ATTRIBUTES;
    this.user = attributes.get('LOGIN') ?? '';
  }

  onXforward(attributes: ClientAttributes): void {
    this.forwarded = new Map([...this.forwarded, ...attributes]);
  }

  /** MAIL was passed on, or RSET or EHLO came. */
  forgetForwarded(): void {
    this.forwarded = NO_ATTRIBUTES;
  }
}
