"""People, senders and texts, all fictional.

No number here can be anybody's: +1 … 555 01xx and +44 7700 900xxx are reserved for fiction, and
in the other countries no number begins with 0 after the country code.
"""

from __future__ import annotations

from random import Random

# Country: its calling code and how often it comes up, of 100.
COUNTRIES = {
    "MX": ("+52", 42), "ES": ("+34", 27), "US": ("+1", 10), "CO": ("+57", 7), "AR": ("+54", 5),
    "BR": ("+55", 4), "GB": ("+44", 2), "DO": ("+1", 1), "CA": ("+1", 2),
}  # fmt: skip
_AREA_CODES = {
    "US": (
        201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224,
        225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270,
        276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318,
        319, 320, 321, 323, 325, 330, 334, 336, 337, 339, 347, 351, 352, 360, 361, 386, 401, 402,
        404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424, 425, 432, 434,
        435, 440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507, 508, 509, 510, 512,
        513, 515, 516, 517, 518, 520, 530, 540, 541, 551, 559, 561, 562, 563, 567, 570, 571, 573,
        574, 580, 585, 586, 601, 602, 603, 605, 606, 607, 608, 609, 610, 612, 614, 615, 616, 617,
        618, 619, 620, 623, 626, 630, 631, 636, 641, 646, 650, 651, 660, 661, 662, 678, 682, 701,
        702, 703, 704, 706, 707, 708, 712, 713, 714, 715, 716, 717, 718, 719, 720, 724, 727, 731,
        732, 734, 740, 754, 757, 760, 763, 765, 770, 772, 773, 774, 775, 781, 785, 786, 801, 802,
    ),
    "CA": (204, 226, 250, 289, 306, 403, 416, 418, 438, 450, 506, 514, 519, 604, 613, 647, 780,
           819, 902, 905),
    "DO": (809, 829, 849),
}  # fmt: skip
# Where fiction has few numbers, a large shop's customers are from elsewhere instead.
_COUNTRY_OF_PLENTY = "MX"

TEXTS = (
    "Su pedido {n} está en camino. ¡Gracias por su compra!",
    "Hola, su cita es mañana a las 10:00. Responda BAJA para no recibir avisos.",
    "Tu código es {n}. No lo compartas.",
    "Tu pedido {n} ya salió de nuestra tienda; llega el viernes entre las 9 y las 14.",
    "Your order {n} has shipped and arrives on Friday.",
    "Your table for two is booked. Reply STOP to opt out.",
    "Oferta de la semana: 20 % en toda la tienda 🎉 pedido {n}",
    "Your code is {n}",
    "Pago de la factura {n} recibido. Gracias.",
    "Factura {n} disponible en tu cuenta. Si ya la pagaste, ignora este aviso; "
    "si tienes dudas, responde a este mensaje y te ayudamos con mucho gusto el mismo día.",
    "Reminder: your appointment {n} is tomorrow at 10:00. If you cannot come, reply to this "
    "message and we will find another day. Bring the receipt of your last visit, please.",
)
REPLIES = (
    "Gracias!", "ok", "¿A qué hora llega?", "Thanks 👍", "Sí, confirmo", "STOP", "BAJA", "stop",
)  # fmt: skip
REPLY_WEIGHTS = (30, 25, 15, 15, 12, 2, 1, 1)
OPT_OUT_WORDS = ("STOP", "BAJA")  # of the replies, in any case

# GSM 03.38: texts of these fit 160 characters a message; those of the second row count twice.
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_TWICE = frozenset("\f^{}\\[~]|€")


def number(country: str, random: Random) -> str:
    """A fictional number of a country."""
    if country in _AREA_CODES:
        return f"+1{random.choice(_AREA_CODES[country])}55501{random.randrange(100):02d}"
    if country == "GB":
        return f"+447700900{random.randrange(1000):03d}"
    return f"{COUNTRIES[country][0]}0{random.randrange(10**9):09d}"


def customers(count: int, random: Random) -> list[tuple[str, str]]:
    """That many people as (number, country); no two share a number."""
    weights = [weight for _, weight in COUNTRIES.values()]
    room = {country: 100 * len(codes) for country, codes in _AREA_CODES.items()} | {"GB": 1000}
    people: dict[str, str] = {}
    for country in random.choices(list(COUNTRIES), weights, k=count):
        home = country
        if room.get(home, 1) <= 0:
            home = _COUNTRY_OF_PLENTY
        while (drawn := number(home, random)) in people:
            pass
        people[drawn] = home
        if home in room:
            room[home] -= 1
    return list(people.items())


def is_gsm7(text: str) -> bool:
    """Whether a text can be sent in GSM 03.38, at seven bits a character."""
    return all(character in _GSM7 or character in _GSM7_TWICE for character in text)


def segments(text: str) -> int:
    """Into how many segments a text is split (twilio.com/docs/glossary/what-sms-character-limit).

    160 characters of GSM 03.38 or 70 UTF-16 units alone; 153 or 67 where there are more segments.
    """
    if is_gsm7(text):
        length, alone, joined = len(text) + sum(c in _GSM7_TWICE for c in text), 160, 153
    else:
        length, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= alone else -(-length // joined)
