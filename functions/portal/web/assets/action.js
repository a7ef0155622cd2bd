// What was done, as the audit trail and a person's own record call it.

import { say } from "./page.js";

/** Acts, by the audit trail's names. @type {Record<string, string>} */
export const ACTION = {
  certificate_sign_in: say("say.action.certificate_sign_in"),
  password_sign_in: say("say.action.password_sign_in"),
  sign_out: say("say.action.sign_out"),
  card_binding: say("say.action.card_binding"),
  card_renewal: say("say.action.card_renewal"),
  card_unbinding: say("say.action.card_unbinding"),
  certificate_revocation: say("say.action.certificate_revocation"),
  activation: say("say.action.activation"),
  password_change: say("say.action.password_change"),
  password_reset: say("say.action.password_reset"),
  email_change_request: say("say.action.email_change_request"),
  email_change: say("say.action.email_change"),
  mail_resend: say("say.action.mail_resend"),
  mail_bounce: say("say.action.mail_bounce"),
  bulk_upload: say("say.action.bulk_upload"),
  bulk_confirmation: say("say.action.bulk_confirmation"),
  bulk_cancellation: say("say.action.bulk_cancellation"),
  authorization_grant: say("say.action.authorization_grant"),
  authorization_request: say("say.action.authorization_request"),
  authorization_accept: say("say.action.authorization_accept"),
  authorization_refusal: say("say.action.authorization_refusal"),
  authorization_withdrawal: say("say.action.authorization_withdrawal"),
  authorization_revocation: say("say.action.authorization_revocation"),
  authorization_end: say("say.action.authorization_end"),
  departure: say("say.action.departure"),
  return: say("say.action.return"),
  move: say("say.action.move"),
  role_change: say("say.action.role_change"),
  audit_read: say("say.action.audit_read"),
  client_sign_in: say("say.action.client_sign_in"),
  client_code_replay: say("say.action.client_code_replay"),
  token_revocation: say("say.action.token_revocation"),
};

/** Outcomes that are no refusals. @type {Record<string, string>} */
export const OUTCOME = {
  success: say("say.outcome.success"),
  activation_required: say("say.outcome.activation_required"),
};
