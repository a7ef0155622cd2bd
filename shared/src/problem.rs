//! Errors as people and programs read them: one code, one status, one text in each language.
//!
//! # Adding an error code
//! 1. Add a variant to [`Code`], at the end: codes are append-only and never used for something else.
//! 2. Give it a status, a name and texts in the `match`es below; they do not compile before that. A code that is met in
//!    several circumstances may have nearer advice in each: a variant of [`Advice`].
//! 3. Review the snapshot of all texts (`cargo insta review`) as the person who will read it.
//! 4. Document it in `infra/openapi.yaml`, and provoke it in `tests/`.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::bulk::file::NotABulkFile;
use crate::language::Language;
use crate::oauth::{Challenge, StepUpRequired};
use crate::password::{self, BrokenRule};
use crate::{
    authority, bulk, certificate, cursor, custom_account, email_address, email_change, idempotency, identity,
    lockout, rate, revocation, session, ticket,
};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// Every code that an answer may carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All codes, in the order in which they were added.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in answers, logs and documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// A field is missing, unreadable or of the wrong type; the answer names it.
    RequestInvalid = "request_invalid", 400;
    /// The ticket or code is unknown, used, void, or for somebody else.
    TicketInvalid = "ticket_invalid", 400;
    /// The ticket or code was good once.
    TicketExpired = "ticket_expired", 400;
    /// No client certificate came with the connection.
    CertificateRequired = "certificate_required", 401;
    /// Unknown, wrong, or not activated: one answer.
    InvalidCredentials = "invalid_credentials", 401;
    /// No session, or one that has ended.
    SessionRequired = "session_required", 401;
    /// The certificate does not chain to a trusted issuer.
    CertificateUntrusted = "certificate_untrusted", 403;
    /// The certificate's time is over.
    CertificateExpired = "certificate_expired", 403;
    /// The certificate's time has not come.
    CertificateNotYetValid = "certificate_not_yet_valid", 403;
    /// The issuer has revoked the certificate.
    CertificateRevoked = "certificate_revoked", 403;
    /// A certificate that is not for signing in.
    CertificateWrongKind = "certificate_wrong_kind", 403;
    /// Not in the personnel directory (貳、1、(3)3.(1.)).
    PersonUnknown = "person_unknown", 403;
    /// Departed (貳、1、(3)3.(2.)).
    PersonDeparted = "person_departed", 403;
    /// The card is somebody else's (貳、1、(3)3.(3.)).
    IdentityMismatch = "identity_mismatch", 403;
    /// The initial password was right, but its time is over.
    InitialPasswordExpired = "initial_password_expired", 403;
    /// The caller may not do this.
    NotAuthorized = "not_authorized", 403;
    /// A write from a page of another origin.
    OriginRefused = "origin_refused", 403;
    /// Nobody of that national ID in the caller's scope.
    EmployeeNotFound = "employee_not_found", 404;
    /// No such reset in the caller's scope.
    ResetNotFound = "reset_not_found", 404;
    /// Somebody else has the custom account.
    AccountTaken = "account_taken", 409;
    /// Somebody changed the same thing at the same moment.
    Conflict = "conflict", 409;
    /// Not a custom account that may be chosen.
    AccountInvalid = "account_invalid", 422;
    /// Not an email address.
    EmailInvalid = "email_invalid", 422;
    /// The two passwords differ.
    PasswordMismatch = "password_mismatch", 422;
    /// The password breaks rules; the answer lists all of them.
    PasswordRejected = "password_rejected", 422;
    /// Too many wrong passwords for this identifier.
    AccountLocked = "account_locked", 429;
    /// Too many of these requests.
    TooManyRequests = "too_many_requests", 429;
    /// The issuer's revocation list is missing or stale.
    RevocationUnknown = "revocation_unknown", 503;
    /// A part of the service does not answer.
    Unavailable = "unavailable", 503;
    /// The session was opened in another way than by the password.
    PasswordSignInRequired = "password_sign_in_required", 403;
    /// No such card is bound to the person.
    CardNotFound = "card_not_found", 404;
    /// A reset's mail that is not sent once more.
    ResendRefused = "resend_refused", 409;
    /// Mail to the address came back for good, and nobody has confirmed the address since.
    EmailUndeliverable = "email_undeliverable", 422;
    /// The idempotency key came with another request before.
    IdempotencyKeyReused = "idempotency_key_reused", 422;
    /// Not a file of a bulk reset.
    FileInvalid = "file_invalid", 422;
    /// No such bulk reset of the caller's.
    BulkNotFound = "bulk_not_found", 404;
    /// A bulk reset that is over, or whose preview is.
    BulkClosed = "bulk_closed", 409;
    /// The API has no such path.
    RouteNotFound = "route_not_found", 404;
    /// The path has other methods, which the answer names in `Allow`.
    MethodNotAllowed = "method_not_allowed", 405;
    /// No such authorization that concerns the caller's agency.
    AuthorizationNotFound = "authorization_not_found", 404;
    /// The person is authorized for the agency already, or the id is another authorization's.
    AuthorizationExists = "authorization_exists", 409;
    /// The authorization is not where the step begins: answered, taken back, revoked or over.
    AuthorizationSettled = "authorization_settled", 409;
    /// Not somebody to whom an authorization may be given.
    HolderNotEligible = "holder_not_eligible", 422;
    /// The act needs a recent sign-in by card.
    StepUpRequired = "step_up_required", 401;
    /// The client's token is not for this.
    InsufficientScope = "insufficient_scope", 403;
    /// An application that is not registered asks for a sign-in.
    ClientUnknown = "client_unknown", 400;
    /// A registered application names an address to return to that is not registered.
    RedirectRefused = "redirect_refused", 400;
    /// The directory has nobody in the agency that is to consent to a concurrent duty.
    AgencyUnknown = "agency_unknown", 422;
    /// The agency that is to consent to a concurrent duty has no HR head who could.
    AgencyWithoutHead = "agency_without_head", 409;
    /// The code of a change of email address is not the one that was mailed.
    EmailCodeWrong = "email_code_wrong", 422;
    /// No change of email address waits for a code, or not any more.
    EmailCodeVoid = "email_code_void", 409;
    /// The card's digits are the person's, and the name on it is written otherwise in the directory, or is a new one.
    NameDiffers = "name_differs", 403;
    /// A card whose name alone says whose it is, seen for the first time, and an account that has a password.
    AccountPasswordRequired = "account_password_required", 403;
}

impl Code {
    /// What happened, in a few words.
    pub fn title(self, language: Language) -> &'static str {
        self.texts(language).0
    }

    /// What the person can do next.
    pub fn detail(self, language: Language) -> &'static str {
        self.texts(language).1
    }

    fn texts(self, language: Language) -> (&'static str, &'static str) {
        match language {
            Language::ZhTw => self.zh_tw(),
            Language::En => self.en(),
        }
    }

    #[rustfmt::skip]
    fn zh_tw(self) -> (&'static str, &'static str) {
        match self {
            Self::RequestInvalid => ("資料不完整或格式不正確", "請檢查所標示的欄位後再送出。"),
            Self::TicketInvalid => ("這個步驟已失效", "可能已使用過、已被新的重設取代，或在另一個視窗完成了。請回到登入頁重新登入。"),
            Self::TicketExpired => ("這個步驟已逾時", "請回到登入頁重新登入，並於時限內完成。"),
            Self::CertificateRequired => ("沒有收到憑證", "請將自然人憑證或機關憑證插入讀卡機，關閉所有瀏覽器視窗後重新開啟，再選擇憑證並輸入憑證密碼（PIN碼）。"),
            Self::InvalidCredentials => ("帳號或密碼不正確", "請確認後再試一次。第一次登入請以身分證號及密碼信件中的初始密碼登入；若尚未收到，請使用自然人憑證登入，或洽機關人事人員重設密碼。"),
            Self::SessionRequired => ("尚未登入或登入已逾時", "請重新登入。"),
            Self::CertificateUntrusted => ("憑證無效", "這張憑證不是由本系統接受的憑證機構所簽發。請改用內政部簽發的自然人憑證或政府憑證管理中心簽發的機關憑證。"),
            Self::CertificateExpired => ("憑證已過期", "請向憑證的簽發機構辦理展期或換發新卡；在此之前可洽機關人事人員重設密碼，改以帳號登入。"),
            Self::CertificateNotYetValid => ("憑證尚未生效", "請於憑證生效日之後再試，並確認電腦的日期與時間正確。"),
            Self::CertificateRevoked => ("憑證已廢止或停用", "請向憑證的簽發機構辦理復用或申請新卡；在此之前可洽機關人事人員重設密碼，改以帳號登入。"),
            Self::CertificateWrongKind => ("這張憑證不能用來登入", "請選擇自然人憑證或機關憑證的「簽章」用憑證，不要選擇「加密」用憑證，再試一次。"),
            Self::PersonUnknown => ("公務人力資料庫查無資料", "請確認輸入的自訂帳號或身分證號。如為現職公務人員（或所屬機關的憑證），請洽人事人員儘速將資料報送至公務人力資料庫，完成入檔後方可登入。"),
            Self::PersonDeparted => ("卸職狀態不能登入", "非現職公務人員無法登入。如為現職公務人員，請洽人事人員儘速將個人資料報送至公務人力資料庫，完成入檔後方可登入。"),
            Self::IdentityMismatch => ("與憑證擁有者不是同一人", "請按「上一步」，重新輸入憑證擁有者本人的自訂帳號或身分證號。憑證確為您本人所有而仍不能登入時（例如剛改名，或換發了卡號不同的新卡），請改輸入身分證號，並洽機關人事人員核對公務人力資料庫中的姓名。"),
            Self::InitialPasswordExpired => ("初始密碼已逾期", "請洽機關人事人員或客服人員重設密碼，或使用自然人憑證登入。"),
            Self::NotAuthorized => ("沒有執行這項作業的權限", "如有業務需要，請洽貴機關人事主管授權，或洽客服人員協助。"),
            Self::OriginRefused => ("請求來自其他網站", "為了保護您的帳號，請直接開啟本系統的網頁操作。"),
            Self::EmployeeNotFound => ("您的權限範圍內查無此人", "請確認身分證號。若是其他機關的人員，請由該機關的人事人員或客服人員處理。"),
            Self::ResetNotFound => ("查無這筆重設紀錄", "請確認重設編號，或重新查詢該員工。"),
            Self::AccountTaken => ("這個自訂帳號已有人使用", "請換一個自訂帳號再送出。"),
            Self::Conflict => ("資料剛剛被更動", "沒有任何變更，請再試一次。"),
            Self::AccountInvalid => ("自訂帳號不符合規則", "請使用 4 到 32 個字：文字或數字，中間可用「.」「_」「-」，至少一個文字，且不可為身分證號，也不可像「admin」等保留的名稱。"),
            Self::EmailInvalid => ("電子郵件地址不正確", "請輸入可以收信的電子郵件地址，例如 name@example.gov.tw。"),
            Self::PasswordMismatch => ("兩次輸入的密碼不同", "請重新輸入兩次相同的密碼。"),
            Self::PasswordRejected => ("密碼不符合規則", "請依所列的規則換一個密碼。"),
            Self::AccountLocked => ("密碼錯誤次數過多，暫時鎖定", "請稍候再試，或使用自然人憑證登入。"),
            Self::TooManyRequests => ("操作過於頻繁", "請稍候再試。"),
            Self::RevocationUnknown => ("暫時無法確認憑證是否有效", "憑證的廢止資訊暫時無法取得，請稍後再試，或改以帳號及密碼登入。"),
            Self::Unavailable => ("系統暫時無法提供服務", "沒有任何變更，請稍後再試。若持續發生，請將要求編號告知客服人員。"),
            Self::PasswordSignInRequired => ("請先以密碼登入", "以卡片登入時，只能解除較晚綁定的卡片。要解除這張卡片的綁定，請登出，改以自訂帳號及密碼登入，再試一次。"),
            Self::CardNotFound => ("查無這張卡片", "這張卡片沒有綁定這個帳號，或綁定已經解除。請重新查看卡片清單。"),
            Self::ResendRefused => ("這封信不能再寄一次", "如仍需要初始密碼，請重設密碼，系統會寄出新的一封。"),
            Self::EmailUndeliverable => ("寄往這個電子郵件地址的信曾被退回", "請向當事人核對地址，有誤時請改正後再送出；若地址正確且信箱已可收信，請確認後再送出。"),
            Self::IdempotencyKeyReused => ("這個請求編號已用於另一個請求", "沒有任何變更。請為新的請求使用新的 Idempotency-Key；若要重送原來的請求，請勿更動其內容。"),
            Self::FileInvalid => ("這不是批次重設密碼的檔案", "請上傳 CSV 檔，第一列為身分證字號（national_id）與電子郵件（email），之後每列一人，最多 5,000 列、1 MiB。"),
            Self::BulkNotFound => ("查無這個批次", "請確認批次編號。批次資料自上傳起保留七天；逾期請重新上傳檔案。"),
            Self::BulkClosed => ("這個批次已結束", "已取消、已完成或預覽已逾 24 小時。如仍需要，請重新上傳檔案。"),
            Self::RouteNotFound => ("沒有這個服務位址", "請確認網址；可用的位址列於 /openapi.yaml。"),
            Self::MethodNotAllowed => ("這個服務位址不接受這種請求方法", "請改用 Allow 標頭所列的方法；說明請見 /openapi.yaml。"),
            Self::AuthorizationNotFound => ("查無這筆授權", "這筆授權不存在，或與貴機關無關。請重新查看授權清單。"),
            Self::AuthorizationExists => ("已有授權或申請", "此人在該機關已有生效中、尚未生效或待同意的授權。請先查看授權清單；要變更期間時，請先撤銷再重新授權。"),
            Self::AuthorizationSettled => ("這筆授權的狀態已變更", "這筆授權已同意、拒絕、撤回、撤銷或到期，不能再執行這個動作。請重新查看授權清單。"),
            Self::HolderNotEligible => ("此人不能接受這項授權", "只能授權給現職的人事人員；人事主管在本機關不需授權。如其職務剛有異動，請待公務人力資料庫更新後再試。"),
            Self::StepUpRequired => ("請再以憑證登入一次", "為了保護他人的帳號，這項作業須在以自然人憑證或機關憑證登入後的短時間內進行。請以憑證重新登入後再試一次。"),
            Self::InsufficientScope => ("這個應用系統沒有取得這項權限", "應用系統登入時未要求或未獲准這項作業。請洽該應用系統的管理人員。"),
            Self::ClientUnknown => ("這個應用系統尚未登錄", "為了保護您的帳號，未登錄的應用系統不能使用本系統登入。請洽該應用系統的管理人員。"),
            Self::RedirectRefused => ("應用系統的返回位址未登錄", "為了保護您的帳號，登入或登出後只會返回已登錄的位址。請洽該應用系統的管理人員。"),
            Self::AgencyUnknown => ("查無這個機關", "公務人力資料庫中沒有這個機關代碼的人員。請確認機關代碼後再送出。"),
            Self::AgencyWithoutHead => ("對方機關沒有人事主管可以同意", "兼辦須由對方機關的人事主管同意，機關憑證不能代為同意；公務人力資料庫中該機關目前沒有現職的人事主管。請對方機關先將人事主管報送至公務人力資料庫，完成入檔後再申請。"),
            Self::EmailCodeWrong => ("驗證碼不正確", "請核對最後收到的那封信裡的八位數字，再輸入一次；最多可輸入錯誤五次。"),
            Self::EmailCodeVoid => ("驗證碼已失效", "這次沒有任何變更。驗證碼在 30 分鐘內有效且只能用一次；輸入錯誤五次、另外寄出新的驗證碼，或帳號有其他變更時也會失效。請再寄送一次驗證碼。"),
            Self::NameDiffers => ("憑證上的姓名與公務人力資料庫的寫法不同", "身分證號末四碼相符，但姓名的寫法不同；剛改名時也會如此。請洽機關人事人員，將公務人力資料庫中的姓名登錄為與憑證上相同，完成入檔後再以這張憑證登入。"),
            Self::AccountPasswordRequired => ("請一併輸入帳號的密碼", "這張憑證上沒有身分證號末四碼，只憑姓名不能確認是您本人；這個帳號已啟用，請再輸入帳號的密碼。忘記密碼時，請洽機關人事人員或客服人員重設密碼，重新啟用後再以這張憑證登入。"),
        }
    }

    #[rustfmt::skip]
    fn en(self) -> (&'static str, &'static str) {
        match self {
            Self::RequestInvalid => ("Something is missing or malformed", "Check the field that is named, and send again."),
            Self::TicketInvalid => ("This step is no longer valid", "It may have been used, replaced by a newer reset, or finished in another window. Go back to the sign-in page and sign in again."),
            Self::TicketExpired => ("This step took too long", "Go back to the sign-in page, sign in again, and finish within the time limit."),
            Self::CertificateRequired => ("No certificate was received", "Put your citizen or organization card into the reader, close all browser windows, open the page again, choose the certificate and enter its PIN."),
            Self::InvalidCredentials => ("The account or the password is not right", "Check both and try again. For the first sign-in, use your national ID and the initial password from the mail; if you have none, sign in with your citizen card or ask your HR for a password reset."),
            Self::SessionRequired => ("You are not signed in, or your session has ended", "Sign in again."),
            Self::CertificateUntrusted => ("The certificate is not valid here", "It was not issued by an authority that this system accepts. Use a citizen card issued by MOICA or an organization card issued by GCA."),
            Self::CertificateExpired => ("The certificate has expired", "Renew it or get a new card from its issuer. Until then, ask your HR for a password reset and sign in with your account."),
            Self::CertificateNotYetValid => ("The certificate is not valid yet", "Try again after its first day, and check your computer's date and time."),
            Self::CertificateRevoked => ("The certificate is revoked or suspended", "Have it restored or replaced by its issuer. Until then, ask your HR for a password reset and sign in with your account."),
            Self::CertificateWrongKind => ("This certificate cannot be used to sign in", "Choose the signature certificate of a citizen or organization card, not the encryption certificate, and try again."),
            Self::PersonUnknown => ("Not found in the personnel directory", "Check the custom account or national ID. If you (or the card's agency) are in service, ask your HR to report it to the personnel directory; you can sign in once it is on file."),
            Self::PersonDeparted => ("People who have departed cannot sign in", "If you are in service, ask your HR to report you to the personnel directory; you can sign in once that is on file."),
            Self::IdentityMismatch => ("Not the same person as the card's holder", "Go back and enter the custom account or national ID of the card's holder. If the card is yours and it still does not sign in, such as after a change of name or with a new card that has another number, enter your national ID, and ask your HR to check your name in the personnel directory."),
            Self::InitialPasswordExpired => ("The initial password has expired", "Ask your HR or the helpdesk for a new password reset, or sign in with your citizen card."),
            Self::NotAuthorized => ("You are not authorized to do this", "If you need it for your work, ask your agency's HR head for an authorization, or ask the helpdesk."),
            Self::OriginRefused => ("The request came from another site", "To protect your account, open this system's own page and do it there."),
            Self::EmployeeNotFound => ("Nobody of that national ID in your scope", "Check the national ID. For people of another agency, ask that agency's HR or the helpdesk."),
            Self::ResetNotFound => ("No such password reset", "Check the reset's number, or search for the employee again."),
            Self::AccountTaken => ("Somebody already has this custom account", "Choose another custom account and send again."),
            Self::Conflict => ("Somebody just changed the same thing", "Nothing was changed. Try again."),
            Self::AccountInvalid => ("The custom account breaks a rule", "Use 4 to 32 characters: letters or digits, with \".\", \"_\" or \"-\" between them, at least one letter, and neither a national ID nor like a name that is kept back, such as \"admin\"."),
            Self::EmailInvalid => ("The email address is not right", "Enter an address that can receive mail, such as name@example.gov.tw."),
            Self::PasswordMismatch => ("The two passwords differ", "Enter the same password twice."),
            Self::PasswordRejected => ("The password breaks the rules", "Choose another password, following the rules listed."),
            Self::AccountLocked => ("Locked for a while after too many wrong passwords", "Try again later, or sign in with your citizen card."),
            Self::TooManyRequests => ("Too many requests", "Wait a while and try again."),
            Self::RevocationUnknown => ("It cannot be checked right now whether the card is valid", "The issuer's revocation information is not available. Try again later, or sign in with account and password."),
            Self::Unavailable => ("The service is not available right now", "Nothing was changed. Try again later; if it goes on, tell the helpdesk the request number."),
            Self::PasswordSignInRequired => ("Sign in with your password first", "Signed in with a card, you can unbind cards that were bound after it. To unbind this one, sign out, sign in with your account and password, and try again."),
            Self::CardNotFound => ("No such card", "It is not bound to this account, or not any more. Look at the list of cards again."),
            Self::ResendRefused => ("This mail cannot be sent again", "If an initial password is still needed, reset the password: a new mail is sent."),
            Self::EmailUndeliverable => ("Mail to this address came back", "Check the address with the person. Correct it and send again; if it is right and the mailbox takes mail again, confirm that and send again."),
            Self::IdempotencyKeyReused => ("This key belongs to another request", "Nothing was changed. Give a new request a new Idempotency-Key; to send the former request again, leave it as it was."),
            Self::FileInvalid => ("This is not a file of a bulk reset", "Upload a CSV file whose first row is national_id,email, with a row for each person: at most 5,000 rows and 1 MiB."),
            Self::BulkNotFound => ("No such bulk reset", "Check its number. It is kept for seven days from its upload; after that, upload the file again."),
            Self::BulkClosed => ("This bulk reset is over", "It was cancelled, has finished, or was not confirmed within 24 hours. If it is still needed, upload the file again."),
            Self::RouteNotFound => ("There is no such address", "Check the address; /openapi.yaml lists those that there are."),
            Self::MethodNotAllowed => ("The address does not take this method", "Use a method that the header Allow names; /openapi.yaml describes them."),
            Self::AuthorizationNotFound => ("No such authorization", "It does not exist, or does not concern your agency. Look at the list of authorizations again."),
            Self::AuthorizationExists => ("There is an authorization or a request already", "The person has one for that agency that counts, will count, or waits for consent. Look at the list of authorizations; to change its dates, revoke it and authorize anew."),
            Self::AuthorizationSettled => ("The authorization has moved on", "It was accepted, refused, withdrawn or revoked, or is over, so this cannot be done any more. Look at the list of authorizations again."),
            Self::HolderNotEligible => ("This person cannot hold that authorization", "Only HR staff in service can; an HR head needs none in their own agency. If their role has just changed, try again once the personnel directory knows."),
            Self::StepUpRequired => ("Sign in with your card once more", "To protect other people's accounts, this has to be done shortly after a sign-in with a citizen or organization card. Sign in with the card again, and try again."),
            Self::InsufficientScope => ("The application has no permission for this", "It did not ask for this at the sign-in, or may not. Tell whoever runs the application."),
            Self::ClientUnknown => ("The application is not registered", "To protect your account, only registered applications can have you sign in here. Tell whoever runs the application."),
            Self::RedirectRefused => ("The application's return address is not registered", "To protect your account, a sign-in or a sign-out returns to registered addresses only. Tell whoever runs the application."),
            Self::AgencyUnknown => ("No agency of that code", "The personnel directory has nobody in an agency of that code. Check the code, and send again."),
            Self::AgencyWithoutHead => ("The other agency has no HR head who could consent", "A concurrent duty needs the consent of the other agency's HR head, which its organization certificate cannot give, and the personnel directory has no HR head in service there. Let the other agency report its HR head to the personnel directory first, and ask again once that is on file."),
            Self::EmailCodeWrong => ("The code is not right", "Check the eight digits in the mail that came last, and enter them again; five wrong codes are allowed in all."),
            Self::EmailCodeVoid => ("The code is no longer good", "Nothing was changed this time. A code is good for 30 minutes and once; five wrong codes, a newer one, or another change of the account end it too. Have a new code sent."),
            Self::NameDiffers => ("The name on the card is written differently in the personnel directory", "The last four digits of the national ID agree, but the name does not; this is also so when you have just changed your name. Ask your HR to enter your name in the personnel directory as it is on the card, and sign in with the card once that is on file."),
            Self::AccountPasswordRequired => ("Enter your account's password as well", "The card does not carry the last four digits of your national ID, and the name alone does not say that it is you. The account is active, so enter its password too. If you have forgotten it, ask your HR or the helpdesk for a password reset, activate your account anew, and sign in with the card then."),
        }
    }
}

macro_rules! advice {
    ($($(#[$doc:meta])* $variant:ident: $zh_tw:literal, $en:literal;)*) => {
        /// A circumstance in which there is nearer advice than the code's own: a field that people often get wrong, or a
        /// refusal that has several reasons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Advice { $($(#[$doc])* $variant,)* }

        impl Advice {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What the person can do next.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $(
                        (Self::$variant, Language::ZhTw) => $zh_tw,
                        (Self::$variant, Language::En) => $en,
                    )*
                }
            }
        }
    };
}

advice! {
    /// A national ID that is none.
    NationalId:
        "身分證號不正確。請輸入一個英文字母及九個數字（或居留證號），並再核對一次。",
        "This is not a national ID. Enter one letter and nine digits (or a resident certificate number), and check it \
         once more.";
    /// The helpdesk's reason.
    Reason:
        "客服人員必須填寫原因，至少 2 個字，最多 500 字。",
        "The helpdesk has to give a reason, of at least 2 letters and in at most 500 characters.";
    /// A password change without the current one.
    CurrentPasswordMissing:
        "請輸入目前的密碼。忘記密碼時，請先登出，改以自然人憑證登入後立即變更，即不需輸入目前的密碼。",
        "Enter your current password. If you have forgotten it, sign out, sign in with your citizen card, and change it \
         right away: then it is not needed.";
    /// A password change with a wrong current one.
    CurrentPasswordWrong:
        "目前的密碼不正確，請再輸入一次。忘記密碼時，請先登出，改以自然人憑證登入後立即變更。",
        "The current password is not right. Enter it again; if you have forgotten it, sign out, sign in with your \
         citizen card, and change it right away.";
    /// A wrong password beside a card whose name alone says whose it is.
    AccountPasswordWrong:
        "帳號的密碼不正確，請再輸入一次。忘記密碼時，請洽機關人事人員或客服人員重設密碼，重新啟用後再以這張憑證登入。",
        "The account's password is not right. Enter it again; if you have forgotten it, ask your HR or the helpdesk for a \
         password reset, activate your account anew, and sign in with the card then.";
    /// An email address whose part before the `@` is not ASCII: SES sends to none of those.
    EmailLocalPart:
        "「@」之前的部分只能使用英文字母、數字及符號（「@」之後的網域不限）。請輸入另一個電子郵件地址。",
        "The part before the @ must be in Latin letters, digits and signs (the domain after it may be in any script). \
         Enter another address.";
    /// A change to the email address that the account has.
    EmailSame:
        "這就是您帳號目前的電子郵件。要變更時，請輸入另一個信箱。",
        "This is the email address that your account has. To change it, enter another one.";
    /// A code that cannot be one.
    EmailCodeForm:
        "驗證碼是八位數字。請核對信件後再輸入一次，中間可以有空格。",
        "A code has eight digits. Check the mail and enter it again; a space in between does no harm.";
    /// A resend of a mail that arrived.
    ResendDelivered:
        "這封信已送達收件人的信箱。請當事人查看收件匣及垃圾郵件匣；若仍找不到，請重設密碼。",
        "The mail has reached the mailbox. Ask the person to look there, also among the spam; if it is not to be found, \
         reset the password.";
    /// A resend to an address that does not take it.
    ResendUndeliverable:
        "這個電子郵件地址不收這封信。請向當事人核對地址，改用正確的地址重設密碼。",
        "The address does not take this mail. Check it with the person, and reset the password to the right address.";
    /// A resend of an initial password that is not good any more.
    ResendVoid:
        "信中的初始密碼已使用、逾期，或已被新的重設取代。如仍需要，請重設密碼。",
        "The initial password in it was used, has expired, or was replaced by a newer reset. If one is still needed, \
         reset the password.";
    /// An act on the caller themselves.
    Oneself:
        "不能對自己執行這項作業，請洽另一位有權限的人員或客服人員。",
        "Nobody does this to themselves. Ask somebody else who may, or the helpdesk.";
    /// A reset of an HR head or of a helpdesk agent by HR.
    HelpdeskOnly:
        "人事主管及客服人員的密碼只能由客服人員重設，請當事人洽客服人員。",
        "The password of an HR head or of a helpdesk agent is reset by the helpdesk alone. Let the person ask there.";
    /// An act of HR by somebody who has no authority at all (貳、2、(1): the organization certificate is the other way).
    NoAuthority:
        "您沒有「權限與兼辦管理」的這項權限。請洽貴機關人事主管授權，或改以機關憑證登入辦理，亦可洽客服人員協助。",
        "You have no authority for this. Ask your agency's HR head for an authorization, sign in with your agency's \
         organization certificate and do it there, or ask the helpdesk.";
    /// An authorization that begins later.
    AuthorizationNotYet:
        "您的授權尚未生效。請於生效日之後再試，或洽機關人事主管。",
        "Your authorization has not begun yet. Try again once it has, or ask your agency's HR head.";
    /// A concurrent duty that the other agency has not consented to.
    AuthorizationRequested:
        "您的兼辦尚待對方機關的人事主管同意。",
        "Your concurrent duty waits for the consent of the other agency's HR head.";
    /// Authorizing people, or for agencies, that are not the caller's own.
    NotOwnAgency:
        "只有該機關的人事主管或機關憑證可以授權；經授權辦理其他機關業務者不能再授權他人。",
        "Only the agency's own HR head or organization certificate authorizes; who was authorized for it does not pass it on.";
    /// A concurrent duty by organization certificate.
    CertificateConcurrent:
        "機關憑證不能申請或同意兼辦。請由機關人事主管登入後辦理。",
        "An organization certificate neither asks for concurrent duties nor consents to them. Let the HR head sign in and \
         do it.";
    /// An answer by the side that asks, or a withdrawal by the other one.
    OtherSide:
        "兼辦須由對方機關的人事主管同意或拒絕；提出申請的機關可以撤回申請。",
        "The other agency's HR head consents to a concurrent duty or refuses it; the agency that asks may withdraw.";
    /// A person who holds as many authorizations as there may be.
    TooManyAuthorizations:
        "此人的授權已達上限。請先撤銷不再需要的授權。",
        "The person holds as many authorizations as there may be. Revoke one that is not needed any more first.";
    /// The first day of an authorization.
    From:
        "開始日必須是今天或之後一年內的日期，例如 2026-08-03。",
        "The first day must be today or within a year, such as 2026-08-03.";
    /// The last day of an authorization.
    Until:
        "結束日不可早於今天或開始日，且期間不可超過五年，例如 2027-08-03。",
        "The last day must not be before today or the first day, nor more than five years after it, such as 2027-08-03.";
    /// An authorization whose time is over.
    AuthorizationOver:
        "您的授權已到期。如仍有業務需要，請洽機關人事主管重新授權。",
        "Your authorization is over. If you still need it for your work, ask your agency's HR head for a new one.";
    /// An authorization that ended with a move or a lost role.
    AuthorizationEnded:
        "您的授權已因調任或職務異動而終止。如有業務需要，請洽現職機關的人事主管授權。",
        "Your authorization ended when you moved or your role changed. If you need one for your work, ask the HR head of \
         the agency that you serve in.";
    /// A file in another encoding than UTF-8.
    FileEncoding:
        "檔案不是 UTF-8 編碼（可能是 Big5 或 Unicode 文字）。請在 Excel 以「CSV UTF-8（逗號分隔）」另存新檔後再上傳。",
        "The file is not in UTF-8 (it may be in Big5 or UTF-16). In Excel, save it as \"CSV UTF-8 (comma delimited)\" and \
         upload that.";
    /// A workbook, or another file that is no text.
    FileNotText:
        "這不是 CSV 檔。若是 Excel 活頁簿，請以「CSV UTF-8（逗號分隔）」另存新檔後再上傳。",
        "This is not a CSV file. If it is a workbook, save it as \"CSV UTF-8 (comma delimited)\" and upload that.";
    /// A file that lacks a column, has one twice, or has others.
    FileColumns:
        "第一列須為欄位名稱，而且只能有身分證字號（national_id）與電子郵件（email）兩欄。請刪除其他欄位後再上傳。",
        "The first row must name the columns, which are national_id and email and no others. Remove all others and upload \
         the file again.";
    /// A file without rows.
    FileEmpty:
        "檔案裡沒有任何人。請在標題列之後，每列填一人的 national_id 與 email。",
        "Nobody is in the file. Below the header, give each person a row with national_id and email.";
    /// A file that is too long.
    FileTooLong:
        "檔案最多 5,000 列、1 MiB。請分成數個檔案上傳。",
        "A file may have 5,000 rows and 1 MiB at most. Upload it in several parts.";
    /// A preview that was not confirmed in time.
    PreviewOver:
        "預覽須在上傳後 24 小時內確認。請重新上傳檔案，並再次核對。",
        "A preview has to be confirmed within 24 hours. Upload the file again and look at it once more.";
}

/// A refusal on its way to the caller: the code with what belongs to it, and the reason for our log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// The request's field that it is about.
    pub field: Option<&'static str>,
    /// The rules that a password breaks.
    pub rules: Vec<BrokenRule>,
    /// When another try makes sense.
    pub retry_after: Option<SignedDuration>,
    /// Nearer advice than the code's.
    pub advice: Option<Advice>,
    /// What a program is told to do, in the header `WWW-Authenticate`.
    pub challenge: Option<Challenge>,
    /// For the log: what happened, without personal data. Never in the answer.
    pub reason: String,
}

impl Problem {
    /// A problem without further evidence.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            field: None,
            rules: Vec::new(),
            retry_after: None,
            advice: None,
            challenge: None,
            reason: String::new(),
        }
    }

    /// A field that is missing or malformed.
    pub fn field(name: &'static str) -> Self {
        Self { field: Some(name), ..Self::new(Code::RequestInvalid) }
    }

    /// The field that the problem is about.
    #[must_use]
    pub fn on(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// The reason for the log.
    #[must_use]
    pub fn because(self, reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), ..self }
    }

    /// When another try makes sense.
    #[must_use]
    pub fn retry_after(self, duration: SignedDuration) -> Self {
        Self { retry_after: Some(duration), ..self }
    }

    /// A password that breaks rules.
    pub fn password_rejected(rules: Vec<BrokenRule>) -> Self {
        Self { rules, field: Some("password"), ..Self::new(Code::PasswordRejected) }
    }

    /// The circumstance that has nearer advice than the code.
    #[must_use]
    pub fn advising(self, advice: Advice) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// What a program is told to do.
    #[must_use]
    pub fn challenging(self, challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// What the person can do next: the code's text, or nearer advice.
    pub fn detail(&self, language: Language) -> &'static str {
        let of_field = || match (self.code, self.field) {
            (Code::RequestInvalid, Some("national_id")) => Some(Advice::NationalId),
            (Code::RequestInvalid, Some("reason")) => Some(Advice::Reason),
            (Code::RequestInvalid, Some("from")) => Some(Advice::From),
            (Code::RequestInvalid, Some("until")) => Some(Advice::Until),
            (Code::RequestInvalid, Some("current_password")) => Some(Advice::CurrentPasswordMissing),
            (Code::InvalidCredentials, Some("current_password")) => Some(Advice::CurrentPasswordWrong),
            (Code::InvalidCredentials, Some("password")) => Some(Advice::AccountPasswordWrong),
            _ => None,
        };
        match self.advice.or_else(of_field) {
            Some(advice) => advice.text(language),
            None => self.code.detail(language),
        }
    }

    /// The answer's body (RFC 9457).
    pub fn body(&self, language: Language, request_id: &str) -> Value {
        let mut body = json!({
            "type": format!("/problems#{}", self.code.name()),
            "title": self.code.title(language),
            "status": self.code.status(),
            "detail": self.detail(language),
            "code": self.code.name(),
            "request_id": request_id,
        });
        if let Some(object) = body.as_object_mut() {
            if let Some(field) = self.field {
                object.insert("field".to_owned(), json!(field));
            }
            if !self.rules.is_empty() {
                let rules =
                    self.rules.iter().map(|rule| json!({"code": rule.code(), "text": rule.text(language)}));
                object.insert("rules".to_owned(), rules.collect());
            }
            if let Some(retry_after) = self.retry_after {
                object.insert("retry_after".to_owned(), json!(retry_after.as_secs()));
            }
        }
        body
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<NotABulkFile> for Problem {
    fn from(error: NotABulkFile) -> Self {
        let advice = match error {
            NotABulkFile::NotText => Advice::FileNotText,
            NotABulkFile::NotUtf8 => Advice::FileEncoding,
            NotABulkFile::MissingColumn(_)
            | NotABulkFile::ExtraColumns(_)
            | NotABulkFile::RepeatedColumn(_) => Advice::FileColumns,
            NotABulkFile::NoRows => Advice::FileEmpty,
            NotABulkFile::TooManyRows | NotABulkFile::TooLong => Advice::FileTooLong,
        };
        Self::new(Code::FileInvalid).advising(advice).because(error)
    }
}

impl From<bulk::OutOfPlace> for Problem {
    fn from(error: bulk::OutOfPlace) -> Self {
        Self::new(Code::BulkClosed).because(error)
    }
}

impl From<idempotency::NotAKey> for Problem {
    fn from(error: idempotency::NotAKey) -> Self {
        Self::field("idempotency-key").because(error)
    }
}

impl From<ticket::Refusal> for Problem {
    fn from(refusal: ticket::Refusal) -> Self {
        Self::new(match refusal {
            ticket::Refusal::Invalid => Code::TicketInvalid,
            ticket::Refusal::Expired => Code::TicketExpired,
            ticket::Refusal::Revoked => Code::CertificateRevoked,
        })
        .because(refusal)
    }
}

impl From<certificate::Refusal> for Problem {
    fn from(refusal: certificate::Refusal) -> Self {
        Self::new(match refusal {
            certificate::Refusal::Missing => Code::CertificateRequired,
            certificate::Refusal::Malformed(_)
            | certificate::Refusal::Untrusted(_)
            | certificate::Refusal::WeakKey(_) => Code::CertificateUntrusted,
            certificate::Refusal::Expired { .. } => Code::CertificateExpired,
            certificate::Refusal::NotYetValid { .. } => Code::CertificateNotYetValid,
            certificate::Refusal::WrongKind(_) => Code::CertificateWrongKind,
        })
        .because(refusal)
    }
}

impl From<revocation::Refusal> for Problem {
    fn from(refusal: revocation::Refusal) -> Self {
        Self::new(match refusal {
            revocation::Refusal::Revoked { .. } => Code::CertificateRevoked,
            revocation::Refusal::NoList(_)
            | revocation::Refusal::Stale { .. }
            | revocation::Refusal::Unknown(_)
            | revocation::Refusal::Silent(_) => Code::RevocationUnknown,
        })
        .because(refusal)
    }
}

impl From<identity::Refusal> for Problem {
    fn from(refusal: identity::Refusal) -> Self {
        Self::new(match refusal {
            identity::Refusal::Unknown => Code::PersonUnknown,
            identity::Refusal::Departed => Code::PersonDeparted,
            identity::Refusal::Mismatch => Code::IdentityMismatch,
            identity::Refusal::NameDiffers => Code::NameDiffers,
        })
        .on("identifier")
        .because(refusal)
    }
}

impl From<authority::Refusal> for Problem {
    fn from(refusal: authority::Refusal) -> Self {
        use authority::Refusal;
        use authority::authorization::Lapse;
        let (code, advice) = match refusal {
            Refusal::NoAuthority { lapse } => {
                let advice = match lapse {
                    Some(Lapse::NotYet { .. }) => Some(Advice::AuthorizationNotYet),
                    Some(Lapse::Requested) => Some(Advice::AuthorizationRequested),
                    Some(Lapse::Over { .. }) => Some(Advice::AuthorizationOver),
                    Some(Lapse::Departed | Lapse::Moved | Lapse::RoleLost) => {
                        Some(Advice::AuthorizationEnded)
                    }
                    None => Some(Advice::NoAuthority),
                };
                (Code::NotAuthorized, advice)
            }
            Refusal::Oneself => (Code::NotAuthorized, Some(Advice::Oneself)),
            Refusal::HrHead | Refusal::HelpdeskAgent => (Code::NotAuthorized, Some(Advice::HelpdeskOnly)),
            Refusal::OutOfScope => (Code::EmployeeNotFound, None),
            Refusal::Departed => (Code::PersonDeparted, None),
            Refusal::NotOwnAgency => (Code::NotAuthorized, Some(Advice::NotOwnAgency)),
            Refusal::CertificateConcurrent => (Code::NotAuthorized, Some(Advice::CertificateConcurrent)),
            Refusal::OwnRequest | Refusal::OthersRequest => (Code::NotAuthorized, Some(Advice::OtherSide)),
            Refusal::NotEligible | Refusal::HolderChanged(_) => (Code::HolderNotEligible, None),
            Refusal::AgencyUnknown => (Code::AgencyUnknown, None),
            Refusal::AgencyWithoutHead => (Code::AgencyWithoutHead, None),
        };
        let field = (refusal == Refusal::AgencyUnknown).then_some("agency");
        Self { advice, field, ..Self::new(code) }.because(refusal)
    }
}

impl From<cursor::NotACursor> for Problem {
    fn from(error: cursor::NotACursor) -> Self {
        Self::field("cursor").because(error)
    }
}

impl From<session::Ended> for Problem {
    fn from(ended: session::Ended) -> Self {
        Self::new(Code::SessionRequired).because(ended)
    }
}

impl From<StepUpRequired> for Problem {
    fn from(required: StepUpRequired) -> Self {
        Self::new(Code::StepUpRequired).challenging(Challenge::StepUp(required)).because(required)
    }
}

impl From<lockout::Locked> for Problem {
    fn from(locked: lockout::Locked) -> Self {
        Self::new(Code::AccountLocked).retry_after(locked.retry_after).because(locked)
    }
}

impl From<rate::TooMany> for Problem {
    fn from(too_many: rate::TooMany) -> Self {
        Self::new(Code::TooManyRequests).retry_after(too_many.retry_after).because(too_many)
    }
}

impl From<custom_account::AccountRefusal> for Problem {
    fn from(refusal: custom_account::AccountRefusal) -> Self {
        Self::new(Code::AccountInvalid).on("account").because(refusal)
    }
}

impl From<email_address::NotAnEmailAddress> for Problem {
    fn from(refusal: email_address::NotAnEmailAddress) -> Self {
        use email_address::NotAnEmailAddress;
        let advice = match refusal {
            NotAnEmailAddress::InternationalizedLocalPart => Some(Advice::EmailLocalPart),
            _ => None,
        };
        Self { advice, ..Self::new(Code::EmailInvalid) }.on("email").because(refusal)
    }
}

impl From<email_change::Void> for Problem {
    fn from(void: email_change::Void) -> Self {
        Self::new(Code::EmailCodeVoid).because(void)
    }
}

impl From<password::HashingFailed> for Problem {
    fn from(failed: password::HashingFailed) -> Self {
        Self::new(Code::Unavailable).because(failed)
    }
}

#[cfg(feature = "dynamodb")]
impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new(Code::Unavailable).because(error)
    }
}

#[cfg(feature = "dynamodb")]
impl From<crate::store::CommitError> for Problem {
    fn from(error: crate::store::CommitError) -> Self {
        use crate::store::CommitError;
        let code = match &error {
            CommitError::Refused(_) | CommitError::Busy => Code::Conflict,
            CommitError::Store(_) => Code::Unavailable,
        };
        Self::new(code).because(error)
    }
}

#[cfg(feature = "dynamodb")]
impl From<crate::store::outbox::ResendRefused> for Problem {
    fn from(refused: crate::store::outbox::ResendRefused) -> Self {
        use crate::delivery::{Bounce, OutOfPlace, Standing};
        use crate::notice::Undeliverable;
        use crate::store::outbox::ResendRefused;
        let advice = match &refused {
            ResendRefused::Store(_) => return Self::new(Code::Unavailable).because(refused),
            ResendRefused::Expired => Some(Advice::ResendVoid),
            ResendRefused::UnderWay => None,
            ResendRefused::OutOfPlace(OutOfPlace { standing, .. }) => match standing {
                Standing::Delivered => Some(Advice::ResendDelivered),
                // SES sends to nobody who has complained.
                Standing::Bounced(Bounce::Permanent) | Standing::Complained => {
                    Some(Advice::ResendUndeliverable)
                }
                Standing::Failed(
                    Undeliverable::Expired | Undeliverable::Replaced | Undeliverable::PersonGone,
                ) => Some(Advice::ResendVoid),
                Standing::Failed(_)
                | Standing::Queued
                | Standing::Sending
                | Standing::Sent
                | Standing::Bounced(Bounce::Transient) => None,
            },
        };
        Self { advice, ..Self::new(Code::ResendRefused) }.because(refused)
    }
}

#[cfg(feature = "kms")]
impl From<crate::kms::KmsError> for Problem {
    fn from(error: crate::kms::KmsError) -> Self {
        Self::new(Code::Unavailable).because(error)
    }
}

impl BrokenRule {
    /// The rule as the person reads it.
    pub fn text(&self, language: Language) -> String {
        match (self, language) {
            (Self::TooShort { min }, Language::ZhTw) => format!("至少 {min} 個字元。"),
            (Self::TooShort { min }, Language::En) => format!("At least {min} characters."),
            (Self::TooLong { max }, Language::ZhTw) => format!("最多 {max} 個字元。"),
            (Self::TooLong { max }, Language::En) => format!("At most {max} characters."),
            (Self::ForbiddenCharacter { forbidden }, language) => {
                let spaced = forbidden.chars().map(String::from).collect::<Vec<_>>().join(" ");
                match language {
                    Language::ZhTw => format!("不可使用這些字元：{spaced}"),
                    Language::En => format!("None of these characters: {spaced}"),
                }
            }
            (Self::TooFewClasses { needed }, Language::ZhTw) => {
                format!("大寫字母、小寫字母、數字、其他字元，至少包含其中 {needed} 種。")
            }
            (Self::TooFewClasses { needed }, Language::En) => {
                format!("At least {needed} of: capital letters, small letters, digits, other characters.")
            }
            (Self::ContainsAccount, Language::ZhTw) => {
                "不可包含您的姓名、身分證號、自訂帳號或電子郵件「@」前的文字。".to_owned()
            }
            (Self::ContainsAccount, Language::En) => {
                "Without your name, national ID, custom account or what is before the @ of your email."
                    .to_owned()
            }
            (Self::TooCommon, Language::ZhTw) => {
                "不可太常見或太容易猜到，請加長或改用不規則的組合。".to_owned()
            }
            (Self::TooCommon, Language::En) => {
                "Not common or easy to guess: make it longer or less regular.".to_owned()
            }
            (Self::UsedBefore, Language::ZhTw) => "不可與目前、初始或最近使用過的密碼相同。".to_owned(),
            (Self::UsedBefore, Language::En) => {
                "Not the current, the initial or a recent password.".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_texts_are_whole_sentences() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.detail(Language::ZhTw).ends_with('。'), "{}", code.name());
            assert!(code.detail(Language::En).ends_with('.'), "{}", code.name());
        }
    }

    #[test]
    fn every_text() {
        let lines: Vec<String> = Code::ALL
            .iter()
            .flat_map(|code| {
                [Language::ZhTw, Language::En].map(|language| {
                    let (title, detail) = code.texts(language);
                    format!("{} {} {}: {title} | {detail}", code.status(), code.name(), language.tag())
                })
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn every_advice() {
        let lines = Advice::ALL.iter().flat_map(|advice| {
            [Language::ZhTw, Language::En].map(|language| {
                let text = advice.text(language);
                assert!(text.ends_with(['。', '.']), "{advice:?}");
                format!("{advice:?} {}: {text}", language.tag())
            })
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }

    #[cfg(feature = "dynamodb")]
    #[test]
    fn why_a_mail_is_not_sent_again() {
        use crate::delivery::{Bounce, OutOfPlace, Standing, Step};
        use crate::notice::Undeliverable;
        use crate::store::outbox::ResendRefused;
        let at = |standing| ResendRefused::OutOfPlace(OutOfPlace { standing, step: Step::Resend });
        let rows = [
            (at(Standing::Delivered), Some(Advice::ResendDelivered)),
            (at(Standing::Bounced(Bounce::Permanent)), Some(Advice::ResendUndeliverable)),
            (at(Standing::Complained), Some(Advice::ResendUndeliverable)),
            (at(Standing::Failed(Undeliverable::Expired)), Some(Advice::ResendVoid)),
            (at(Standing::Failed(Undeliverable::Replaced)), Some(Advice::ResendVoid)),
            (at(Standing::Failed(Undeliverable::PersonGone)), Some(Advice::ResendVoid)),
            (at(Standing::Failed(Undeliverable::Refused)), None),
            (ResendRefused::Expired, Some(Advice::ResendVoid)),
        ];
        for (refused, advice) in rows {
            let what = format!("{refused:?}");
            let problem = Problem::from(refused);
            assert_eq!((problem.code, problem.advice), (Code::ResendRefused, advice), "{what}");
        }
        let failed = crate::store::StoreError::Service("no answer".to_owned());
        assert_eq!(Problem::from(ResendRefused::Store(failed)).code, Code::Unavailable);
    }

    #[test]
    fn a_body() {
        let problem =
            Problem::password_rejected(vec![BrokenRule::TooShort { min: 12 }]).because("secret reason");
        insta::assert_json_snapshot!(problem.body(Language::En, "request-1"));
    }
}
