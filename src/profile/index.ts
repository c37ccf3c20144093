export { abilityOf, causeOfInability, serviceQuery } from './ability.ts';
export {
  checkAddedField,
  isFieldName,
  isForbiddenName,
  MAX_ADDED_FIELD_OCTETS,
  MAX_ADDED_FIELDS,
  MAX_ADDED_OCTETS,
} from './added-field.ts';
export { type Advice, isDelay, MAX_DELAY_SECONDS, MAX_REASON_OCTETS, shortReason } from './advice.ts';
export { type Answer, answerBlock, BROKEN_REFUSAL, readAnswer } from './answer.ts';
export {
  isCommandText,
  MAX_ARGUMENT_OCTETS,
  MAX_REWRITTEN_OCTETS,
  readArgument,
  readArgumentText,
  rewriteArgument,
  type TextPart,
} from './argument.ts';
export { type Cause, causeOf } from './cause.ts';
export { ALLOW_NOTHING, type Allow, dataBlock, type PartData, readData } from './data.ts';
export { makeOffer, type Offered, readSelection, type Selection } from './offer.ts';
export { canFollow, type DraftPart, PARTS, type Part, partByName, RECEIVER_URI, SENDER_URI } from './parts.ts';
export { type PartWishes, selectionOf, selectParts } from './select.ts';
export { makeService, serviceUris } from './services.ts';
