"""People, senders and texts, all fictional.

No number here can be anybody's: +1 … 555 01xx and +44 7700 900xxx are reserved for fiction, and
in the other countries no number begins with 0 after the country code.
"""

from __future__ import annotations

from random import Random

COUNTRIES = {
    "MX": ("+52", 40), "ES": ("+34", 25), "US": ("+1", 12), "CO": ("+57", 6), "AR": ("+54", 5),
    "GB": ("+44", 4), "BR": ("+55", 4), "DO": ("+1", 2), "CA": ("+1", 2),
}  # fmt: skip
_AREA_CODES = {
    "US": (201, 202, 203, 205, 206, 212, 213, 214, 305, 310, 312, 404, 415, 512, 617, 702, 713),
    "CA": (204, 416, 514, 604, 613, 780, 902),
    "DO": (809, 829, 849),
}

TEXTS = (
    "Su pedido {n} está en camino. ¡Gracias por su compra!",
    "Hola, su cita es mañana a las 10:00. Responda BAJA para no recibir avisos.",
    "Tu código es {n}. No lo compartas.",
    "Your order {n} has shipped and arrives on Friday.",
    "Your table for two is booked. Reply STOP to opt out.",
    "Oferta de la semana: 20 % en toda la tienda 🎉 pedido {n}",
    "Your code is {n}",
    "Factura {n} disponible en tu cuenta. Si ya la pagaste, ignora este aviso; "
    "si tienes dudas, responde a este mensaje y te ayudamos con mucho gusto el mismo día.",
)
REPLIES = ("Gracias!", "ok", "¿A qué hora llega?", "Thanks 👍", "Sí, confirmo", "STOP", "BAJA")
REPLY_WEIGHTS = (30, 25, 15, 15, 12, 2, 1)


def number(country: str, random: Random) -> str:
    """A fictional number of a country."""
    if country in _AREA_CODES:
        return f"+1{random.choice(_AREA_CODES[country])}55501{random.randrange(100):02d}"
    if country == "GB":
        return f"+447700900{random.randrange(1000):03d}"
    return f"{COUNTRIES[country][0]}0{random.randrange(10**9):09d}"


def customers(count: int, random: Random) -> list[tuple[str, str]]:
    """That many people as (number, country), each number once where the range allows it."""
    names = list(COUNTRIES)
    weights = [weight for _, weight in COUNTRIES.values()]
    return [
        (number(country, random), country) for country in random.choices(names, weights, k=count)
    ]


def segments(text: str) -> int:
    """Into how many segments a text is split; roughly, as a shop's texts are."""
    wide = any(ord(character) > 0x7F and character not in "ñáéíóú¿¡üà€" for character in text)
    return 1 + len(text) // (71 if wide else 161)
