export * from './header.ts';
export { type MailLimits, mailLimits } from './limits.ts';
