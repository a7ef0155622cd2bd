//! People of the sample roster, and what they choose at their activation.

/// Somebody of the sample roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civilian {
    /// Their national ID.
    pub national_id: &'static str,
    /// Their name, in the directory and on their card.
    pub name: &'static str,
    /// The custom account that they choose.
    pub account: &'static str,
    /// Their email address.
    pub email: &'static str,
    /// The password that they choose.
    pub password: &'static str,
}

impl Civilian {
    /// The last four digits of the national ID, as they stand on the card.
    #[must_use]
    pub fn id_tail(&self) -> &'static str {
        &self.national_id[6..]
    }
}

const fn civilian(
    national_id: &'static str,
    name: &'static str,
    account: &'static str,
    email: &'static str,
    password: &'static str,
) -> Civilian {
    Civilian { national_id, name, account, email, password }
}

/// An employee of A02.
pub const WANG: Civilian =
    civilian("A123456789", "王小明", "wang.xiaoming", "wang@example.gov.tw", "Taroko-Gorge#1842");
/// Another employee of A02.
pub const ZHANG: Civilian =
    civilian("E211221932", "張三", "zhang.san", "zhang@example.gov.tw", "Yushan-Summit#3952");
/// An employee of A02 whose card has no digits of the national ID.
pub const LI: Civilian = civilian("F111357703", "李四", "li.si", "li@example.gov.tw", "Kinmen-Sorghum#58");
/// An employee of A02 without a card.
pub const ZHOU: Civilian =
    civilian("N212036550", "周九", "zhou.jiu", "zhou@example.gov.tw", "Sunmoon-Ferry#2604");
/// A foreign resident in service at A02.
pub const WU: Civilian =
    civilian("P812172321", "吳外僑", "wu.waiqiao", "wu@example.gov.tw", "Matsu-Lantern#7731");
/// A person of A02 who has departed.
pub const SUN: Civilian = civilian("M111900781", "孫八", "sun.ba", "sun@example.gov.tw", "Lanyu-Canoe#4406");
/// The HR head of A02.
pub const HEAD: Civilian =
    civilian("B210950397", "李人事", "hr.head", "head@example.gov.tw", "Alishan-Sunrise#77");
/// HR staff of A02, authorized for A02 and A04.
pub const STAFF: Civilian =
    civilian("D111086163", "陳助理", "hr.staff", "staff@example.gov.tw", "Penghu-Harbour#31");
/// An agent of the helpdesk.
pub const HELPDESK: Civilian =
    civilian("A210271541", "客示範", "help.desk", "desk@example.gov.tw", "Kenting-Lantern#58");
/// The HR head of A03.
pub const HEAD_ELSEWHERE: Civilian =
    civilian("T112443861", "林主任", "lin.zhuren", "lin@example.gov.tw", "Taipei-Basin#90210");
/// An employee of A03.
pub const LIU: Civilian =
    civilian("V112715408", "劉一", "liu.yi", "liu@example.gov.tw", "Hualien-Marble#612");
/// An employee of A04, which staff of A02 handles concurrently.
pub const XU: Civilian = civilian("L214073102", "徐庚", "xu.geng", "xu@example.gov.tw", "Beitou-Spring#4718");
/// An employee of A04 of the same name as [`WANG`].
pub const NAMESAKE: Civilian =
    civilian("Y114208872", "王小明", "wang.second", "second@example.gov.tw", "Jiufen-Teahouse#63");
/// A good national ID that nobody in the roster has.
pub const NOBODY: &str = "A287654325";
