import { HeaderScanner } from '../mail/index.ts';
import { Headers } from './headers.ts';

/** The header section of a message that comes in pieces, up to the cap of one header. */
export class HeaderCollector {
  readonly #scanner = new HeaderScanner();
  #headers: Headers | undefined;

  /** `undefined` until the empty line, the cap or the end of the message was seen. */
  get headers(): Headers | undefined {
    return this.#headers;
  }

  feed(octets: Buffer): void {
    if (this.#headers !== undefined) return;
    this.#scanner.feed(octets);
    if (!this.#scanner.isOpen) this.#read();
  }

  /** The message has ended. */
  end(): void {
    if (this.#headers !== undefined) return;
    this.#scanner.end();
    this.#read();
  }

  #read(): void {
    const { octets, fields, end, broken } = this.#scanner.header();
    this.#headers = new Headers(octets, fields, end, broken !== 'header-size' && broken !== 'field-count');
  }
}
