/**
 * The message format as ranges of octets: header fields, MIME parts, encodings. Lossless, streaming, capped; nothing is
 * ever serialised anew.
 */
export { Base64Decoder, Base64Encoder, type Base64Fault } from './base64.ts';
export { decodeEncodedWords, encodeWords, type TextPiece } from './encoded-words.ts';
export * from './header.ts';
export { HeaderScanner, type KeptHeader } from './header-scanner.ts';
export { type MailLimits, mailLimits } from './limits.ts';
export {
  allParts,
  type ContentType,
  type Disposition,
  fileName,
  type MimePart,
  type PartFault,
  type PartRange,
  partRanges,
  type TransferEncoding,
} from './mime-part.ts';
export { MimeScanner } from './mime-scanner.ts';
export { parseStructured, type StructuredField } from './parameters.ts';
export { QuotedPrintableDecoder, type QuotedPrintableFault } from './quoted-printable-decoder.ts';
export { QuotedPrintableEncoder } from './quoted-printable-encoder.ts';
export { type Protection, type Recognised, recognise, recognisePart, type Scheme } from './recognise.ts';
export * from './report/index.ts';
