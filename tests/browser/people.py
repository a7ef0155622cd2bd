"""People of the sample roster, and what they choose at their first sign-in."""

from typing import NamedTuple


class Person(NamedTuple):
    """Somebody of the sample roster."""

    national_id: str
    name: str
    account: str
    email: str
    password: str
    card: str | None = None


WANG = Person("A123456789", "王小明", "wang.xiaoming", "wang@example.gov.tw", "Taroko-Gorge#1842", "wang-xiaoming")
LI = Person("F111357703", "李四", "li.si", "li@example.gov.tw", "Kinmen-Sorghum#58", "li-si")
ZHANG = Person("E211221932", "張三", "zhang.san", "zhang@example.gov.tw", "Yushan-Summit#3952", "zhang-san")
ZHOU = Person("N212036550", "周九", "zhou.jiu", "zhou@example.gov.tw", "Sunmoon-Ferry#2604")
WU = Person("P812172321", "吳外僑", "wu.waiqiao", "wu@example.gov.tw", "Matsu-Lantern#7731")
ZHAO = Person("J111629243", "趙六", "zhao.liu", "zhao@example.gov.tw", "Guishan-Turtle#27")
WANG_WU = Person("G211493476", "王五", "wang.wu", "wangwu@example.gov.tw", "Wulai-Bridge#8817")
QIAN = Person("K211765014", "錢七", "qian.qi", "qian@example.gov.tw", "Tamsui-Sunset#5521")
LIAO = Person("E113937333", "廖己", "liao.ji", "liao@example.gov.tw", "Cijin-Lighthouse#33")
HEAD = Person("B210950397", "李人事", "hr.head", "head@example.gov.tw", "Alishan-Sunrise#77", "hr-head")
STAFF = Person("D111086163", "陳助理", "hr.staff", "staff@example.gov.tw", "Penghu-Harbour#31", "hr-staff")
OTHER_HEAD = Person("A113801567", "曾館長", "zeng.head", "zeng@example.gov.tw", "Lukang-Temple#4419", "other-head")
HELPDESK = Person("A210271541", "客示範", "help.desk", "desk@example.gov.tw", "Kenting-Lantern#58", "helpdesk")
NOBODY = "A287654325"
