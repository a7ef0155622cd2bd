use std::collections::BTreeSet;

use proptest::prelude::*;

use super::Digits::{Absent, Agree};
use super::*;

fn folded(name: &str) -> String {
    Name::read(name).letters.into_iter().collect()
}

#[test]
fn one_name_written_in_two_ways() {
    let rows = [
        ("the same", "王小明", "王小明"),
        ("padded to three characters", "王　明", "王明"),
        ("padded, and with spaces around", " 王 明\u{3000}", "王明"),
        ("a tab", "王\t小明", "王小明"),
        ("dots: Big5's as one converter reads it", "高‧馬紹", "高·馬紹"),
        ("dots: Japanese", "高・馬紹", "高‧馬紹"),
        ("dots: half width", "高･馬紹", "高·馬紹"),
        ("dots: a bullet", "高•馬紹", "高·馬紹"),
        ("dots: mathematical", "高⋅馬紹", "高∙馬紹"),
        ("dots: a full stop", "高.馬紹", "高．馬紹"),
        ("dots: Korean", "高ㆍ馬紹", "高·馬紹"),
        ("dots: Greek", "高\u{387}馬紹", "高﹒馬紹"),
        ("dots: none", "高馬紹", "高·馬紹"),
        ("hyphens", "Ma‐Ti Lin", "Ma-Ti Lin"),
        ("hyphens: one that does not break, a dash, a minus", "Ma‑Ti–Lin", "Ma−Ti Lin"),
        ("hyphens: full width", "Ｍａ－Ｔｉ　Ｌｉｎ", "Ma-Ti Lin"),
        ("hyphens: soft", "Ma\u{AD}Ti Lin", "Mati Lin"),
        ("hyphens: what a Chinese keyboard has there", "Ma─Ti Lin", "Maーti Lin"),
        ("a glottal stop", "Yawi’ Nokan", "Yawi' Nokan"),
        ("a glottal stop as a letter", "Yawiʼ Nokan", "Yawi‘ Nokan"),
        ("a glottal stop as a stress", "Yawiˈ Nokan", "Yawi´ Nokan"),
        ("a glottal stop as a circumflex", "Yawi^ Nokan", "Yawi` Nokan"),
        ("a glottal stop as an okina", "Yawiʻ Nokan", "YawiʔNokan"),
        ("a glottal stop that is left out", "Yawi Nokan", "Yawiꞌ Nokan"),
        ("capitals", "KOLAS YOTAKA", "Kolas Yotaka"),
        ("capitals without a small letter of their own", "Strasse", "STRAßE"),
        ("accents", "Nguyễn Thị Đào", "NGUYEN THI DAO"),
        ("accents as characters of their own", "Nguye\u{302}\u{303}n", "Nguyễn"),
        ("the family name before a comma", "LIN, MA-TI", "Ma-Ti Lin"),
        ("the family name before a Chinese comma", "林，馬諦", "馬諦林"),
        ("a Chinese name with a romanised one beside it", "谷辣斯·尤達卡 Kolas Yotaka", "谷辣斯·尤達卡"),
        ("the romanised one of both", "谷辣斯·尤達卡 Kolas Yotaka", "KOLAS YOTAKA"),
        ("in brackets", "谷辣斯．尤達卡（Kolas Yotaka）", "谷辣斯尤達卡"),
        ("behind a stroke", "谷辣斯．尤達卡／Kolas Yotaka", "Kolas·Yotaka"),
        ("first the romanised one", "Kolas Yotaka 谷辣斯", "谷辣斯（KOLAS YOTAKA）"),
        ("both, with a comma in one", "王小明 Wang Hsiao-Ming", "王小明 HSIAO MING, WANG"),
        ("an ideographic variation selector", "葛\u{E0100}大明", "葛大明"),
        ("another variation selector", "葛\u{FE00}大明", "葛大明"),
        ("zero width", "王\u{200B}小\u{FEFF}明", "王小\u{2060}明"),
        ("bidirectional", "甲\u{202E}乙", "甲乙\u{200F}"),
        ("controls", "甲\0乙", "\u{7}甲乙"),
        ("a compatibility ideograph", "\u{F9D1}甲", "六甲"),
        ("one of CNS 11643", "\u{2F81A}明", "冬明"),
        ("a Kangxi radical", "⽅小明", "方小明"),
        ("a radical of its own", "⺠生", "民生"),
        ("variants: the ministry's own", "黄小美", "黃小美"),
        ("variants: the ministry's own, too", "温大明", "溫大明"),
        ("variants: a seat of government", "王台生", "王臺生"),
        ("variants", "張姸", "張妍"),
        ("variants: two of one", "吴小明", "呉小明"),
        ("variants of three", "吳小明", "吴小明"),
        ("variants", "王峯", "王峰"),
        ("variants", "王羣", "王群"),
        ("variants", "衞小明", "衛小明"),
        ("variants", "王恒", "王恆"),
        ("variants: simplified", "陈伟", "陳偉"),
        ("a repetition", "林玲々", "林玲玲"),
        ("a reference to a character", "游小&#22531;", "游小堃"),
        ("a reference in hexadecimal", "游小&#x5803;", "游小堃"),
    ];
    for (what, one, other) in rows {
        for digits in [Agree, Absent] {
            assert!(same(one, other, digits), "{what}: {one} {other}: {} {}", folded(one), folded(other));
            assert!(same(other, one, digits), "{what}, the other way round");
        }
    }
}

#[test]
fn names_that_are_two() {
    let rows = [
        ("another name", "王小明", "王大明"),
        ("a shorter one", "王小明", "王小"),
        ("a letter that tells namesakes apart", "王小明A", "王小明"),
        ("two of those", "王小明A", "王小明B"),
        ("a number that does", "王小明2", "王小明"),
        ("another romanised name beside the same", "王小明 Wang Hsiao-Ming", "王小明 Wang Da-Ming"),
        ("another Chinese name beside the same", "王小明 Wang Ming", "王大明 Wang Ming"),
        ("a romanised name in the midst", "王Wang明", "王明"),
        ("the beginning of a name that is not cut", "Kolas", "Kolas Yotaka"),
        ("nothing at all", "", "王小明"),
        ("nothing but dots", "··", "··"),
        ("a sign that is no letter", "王△明", "王明"),
        ("characters that are names of their own", "游小堃", "游小坤"),
        ("characters that are names of their own", "王喆", "王哲"),
        ("characters that are names of their own", "王杰", "王傑"),
        ("characters that are names of their own", "王佑", "王祐"),
        ("characters that are names of their own", "凃小明", "涂小明"),
        ("characters that are names of their own", "鍾小明", "鐘小明"),
        ("characters that are names of their own", "范小明", "範小明"),
        ("characters that are names of their own", "王昇", "王升"),
        ("characters that are names of their own", "王勛", "王勳"),
        ("characters that are names of their own", "于小明", "余小明"),
        ("a sound mark, which makes another letter", "ガ", "カ"),
    ];
    for (what, one, other) in rows {
        for digits in [Agree, Absent] {
            assert!(!same(one, other, digits), "{what}: {one} {other}");
            assert!(!same(other, one, digits), "{what}: {other} {one}");
        }
    }
}

#[test]
fn what_the_digits_settle() {
    let rows = [
        ("a full square", "王■明", "王堃明"),
        ("an empty one", "王□明", "王堃明"),
        ("a question mark", "王?明", "王堃明"),
        ("a full-width question mark", "王？明", "王堃明"),
        ("a circle", "王〇明", "王堃明"),
        ("a circle that is none of the ideographs", "王○明", "王堃明"),
        ("a geta mark", "王〓明", "王堃明"),
        ("Unicode's own", "王\u{FFFD}明", "王堃明"),
        ("a private-use character", "游小\u{E0C6}", "游小堃"),
        ("one of a plane of its own", "游小\u{F0000}", "游小堃"),
        ("a description of two parts", "王⿰亻⿱日一明", "王但明"),
        ("a description of three", "王⿲亻丨丨明", "王化明"),
        ("two systems' own", "游小\u{E0C6}", "游小\u{E001}"),
        ("one of the four-byte ideographs", "王?明", "王\u{2A6A5}明"),
        ("the first of a romanised name's words last", "Lin Ma-Ti", "Ma-Ti Lin"),
        ("its last one first", "Ma Ti Lin", "LIN MA-TI"),
    ];
    for (what, one, other) in rows {
        for (one, other) in [(one, other), (other, one)] {
            assert!(!same(one, other, Absent), "{what}: {one} {other}");
            assert!(same(one, other, Agree), "{what}: {one} {other}: {} {}", folded(one), folded(other));
        }
    }
}

#[test]
fn what_a_lost_character_does_not_stand_for() {
    let rows = [
        ("two characters", "王?明", "王大小明"),
        ("none", "王?明", "王明"),
        ("a letter", "Kol?s", "Kolas"),
        ("another one beside it", "王?明", "李堃明"),
        ("a whole name", "???", "王小明"),
        ("a whole name, lost on both", "□□", "??"),
    ];
    for (what, one, other) in rows {
        for (one, other) in [(one, other), (other, one)] {
            assert!(!same(one, other, Agree), "{what}: {one} {other}");
        }
    }
    assert!(same("游小\u{E0C6}", "游小\u{E0C6}", Absent), "one system's character is itself");
    assert!(!same("游小?", "游小?", Absent), "what every system writes is none");
}

#[test]
fn a_name_that_the_certificate_cuts() {
    let long = "Sawawan Kadresengane Lavakaw Tjaljimaraw Rhuvaniyaw Pasaaljaigi Takivatan Istanda";
    let cut: String = long.chars().take(LONGEST_COMMON_NAME).collect();
    let shorter: String = long.chars().take(LONGEST_COMMON_NAME - 1).collect();
    let beside = format!("撒瓦萬 {long}");
    let beside_cut: String = beside.chars().take(LONGEST_COMMON_NAME).collect();
    let (another, elsewhere) = ("X".repeat(LONGEST_COMMON_NAME), format!("巴瓦萬 {long}"));
    let rows: [(&str, &str, &str, bool); 7] = [
        ("cut", &cut, long, true),
        ("a shorter one is not cut", &shorter, long, false),
        ("another name of that length", &another, long, false),
        ("a Chinese name before it", &beside_cut, &beside, true),
        ("the Chinese name alone", &beside_cut, "撒瓦萬", true),
        ("the romanised one alone", &beside_cut, long, true),
        ("another Chinese name before it", &beside_cut, &elsewhere, false),
    ];
    for (what, card, directory, expected) in rows {
        for digits in [Agree, Absent] {
            assert_eq!(same(card, directory, digits), expected, "{what}: {card}");
            assert_eq!(same(directory, card, digits), expected, "{what}, the other way round");
        }
    }
}

#[test]
fn names_that_lost_a_character_are_told_apart() {
    for name in ["王?明", "王□明", "王\u{E0C6}", "王\u{FFFD}", "王〇", "王⿱方方", "*小明", "王＊明"]
    {
        assert!(has_lost_character(name), "{name}");
    }
    for name in ["王小明", "高·馬紹", "Yawi’ Nokan", "葛\u{E0100}大明", "王\u{2A6A5}"] {
        assert!(!has_lost_character(name), "{name}");
    }
}

#[test]
fn what_a_name_looks_like() {
    let rows = [
        ("甲\u{202E}乙", "甲乙"),
        ("甲 \u{0}", "甲"),
        ("\u{FEFF}王小明\u{200B}", "王小明"),
        ("王\n小明", "王 小明"),
        (" 高‧馬紹\u{3000}", "高‧馬紹"),
        ("Ｋolas Yotaka", "Kolas Yotaka"),
        ("\u{200B}\u{202E}", ""),
        ("葛\u{E0100}大明", "葛大明"),
    ];
    for (given, expected) in rows {
        assert_eq!(written(given), expected, "{given:?}");
    }
}

#[test]
fn the_table_leads_to_characters_that_are_no_variants() {
    let variants: BTreeSet<char> = VARIANTS.iter().map(|(variant, _)| *variant).collect();
    assert_eq!(variants.len(), VARIANTS.len(), "no character stands for two");
    for (variant, standard) in VARIANTS.iter() {
        assert!(!variants.contains(standard), "{variant} stands for {standard}, which stands for another");
        assert!(is_ideograph(*standard), "{standard}");
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        for c in [variant, standard] {
            assert!(nfkc.is_normalized(&c.to_string()), "{c} is never met: NFKC makes another of it");
        }
    }
    assert!(VARIANTS.len() > 1000, "{}", VARIANTS.len());
}

/// The names of the sample roster.
fn roster() -> Vec<String> {
    let rows = include_str!("../../../infra/local/sample-roster.csv").lines().skip(1);
    let names: BTreeSet<&str> = rows.filter_map(|row| row.split(',').nth(1)).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// A name with something between its letters that tells nobody apart.
fn spelled(name: &str, between: &[usize]) -> String {
    static BETWEEN: [&str; 12] =
        ["", " ", "\u{3000}", "·", "‧", "・", "-", "'", "\u{200B}", "\u{202E}", "\u{E0100}", "\u{FE0F}"];
    let mut between = between.iter().cycle().filter_map(|at| BETWEEN.get(at % BETWEEN.len()));
    name.chars()
        .flat_map(|c| [c.to_string(), between.next().copied().unwrap_or_default().to_owned()])
        .collect()
}

fn characters() -> impl Strategy<Value = String> {
    // Characters of all kinds, and of the kinds that names are made of.
    let of_names =
        "[王小明馬紹黃黄台臺堃A-Za-zé .·‧・,'’^\\-?□〇々ー⿱⿰\u{E0C6}\u{E0100}\u{200B}\u{3000}&#;0-9]";
    prop_oneof![
        proptest::collection::vec(any::<char>(), 0..24)
            .prop_map(|letters| letters.into_iter().collect::<String>()),
        proptest::collection::vec(of_names, 0..24).prop_map(|letters| letters.concat()),
    ]
}

proptest! {
    #[test]
    fn folding_a_folded_name_changes_nothing(name in characters()) {
        let once = folded(&name);
        prop_assert_eq!(folded(&once), once);
    }

    #[test]
    fn it_does_not_matter_which_name_comes_first(one in characters(), other in characters()) {
        for digits in [Agree, Absent] {
            prop_assert_eq!(same(&one, &other, digits), same(&other, &one, digits));
        }
    }

    #[test]
    fn what_is_one_without_the_digits_is_one_with_them(one in characters(), other in characters()) {
        prop_assert!(!same(&one, &other, Absent) || same(&one, &other, Agree));
    }

    #[test]
    fn no_two_names_of_the_roster_become_one(
        one in 0_usize..64,
        other in 0_usize..64,
        between in proptest::collection::vec(0_usize..64, 1..4),
    ) {
        let names = roster();
        let (one, other) = (&names[one % names.len()], &names[other % names.len()]);
        let spelled = spelled(one, &between);
        prop_assert_eq!(same(&spelled, other, Absent), one == other);
        prop_assert_eq!(same(&spelled, other, Agree), one == other);
    }

    #[test]
    fn what_is_kept_and_shown_is_the_name(name in characters()) {
        let shown = written(&name);
        prop_assert!(!shown.chars().any(is_hidden));
        prop_assert_eq!(written(&shown), shown);
    }
}
