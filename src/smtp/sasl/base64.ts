/** Base64 as RFC 4954 section 4 asks for: with padding, and nothing else in the line. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function decodeBase64(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** An initial response: `=` stands for one of no octets (RFC 4954, 4). */
export function decodeInitial(text: string): Buffer | undefined {
  return text === '=' ? Buffer.alloc(0) : decodeBase64(text);
}
