export { decodeEncodedWords, type TextPiece } from './encoded-words.ts';
export * from './header.ts';
export { type MailLimits, mailLimits } from './limits.ts';
