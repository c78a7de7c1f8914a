"""Products, customers, and orders with the seasons in them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from backoffice.seeding.chance import Chance, Scattered, Weighted
from backoffice.seeding.plan import Fill
from models.seeding.clock import NOW, Timeline
from models.seeding.people import DOMAINS, People, address
from models.seeding.school import CITIES
from models.seeding.tables import table_of
from models.shop import Customer, Order, OrderItem, OrderStatus, Product

TIMES = ("created_at", "updated_at")
Row = tuple[Any, ...]

CUSTOMERS_OF_A_PRODUCT = 1.5
ORDERS_OF_A_PRODUCT = 5
OPENED = date(2023, 3, 1)

# Category: its goods, and what a good of it costs in the middle.
GOODS: dict[str, tuple[str, int]] = {
    "Stationery": ("Notebook,Fountain Pen,Sketchbook,Ruler Set,Pencil Case,Planner", 8),
    "Books": ("Atlas,Dictionary,Story Collection,Cookbook,Poetry Book,Field Guide", 18),
    "Furniture": ("Desk,Chair,Bookshelf,Stool,Cabinet,Reading Table", 140),
    "Lighting": ("Desk Lamp,Floor Lamp,Lantern,Ceiling Light,Night Light,Candle", 45),
    "Kitchen": ("Teapot,Lunch Box,Cutting Board,Mortar,Rice Cooker,Water Bottle", 28),
    "Textiles": ("Scarf,Tablecloth,Cushion,Blanket,Sarong,Tote Bag", 32),
    "Music": ("Ukulele,Flute,Hand Drum,Xylophone,Kalimba,Music Stand", 75),
    "Sports": ("Racket,Football,Yoga Mat,Skipping Rope,Shuttlecock Set,Swim Cap", 22),
    "Electronics": ("Headphones,Calculator,Keyboard,Web Camera,Speaker,Charger", 60),
    "Garden": ("Planter,Watering Can,Trowel,Seed Box,Hammock,Bird House", 25),
    "Toys": ("Puzzle,Building Blocks,Kite,Board Game,Spinning Top,Puppet", 19),
    "Art supplies": ("Brush Set,Easel,Batik Kit,Watercolours,Clay,Canvas", 24),
}
MAKERS = [
    "Sagara",
    "Lumina",
    "Tirta",
    "Kencana",
    "Borneo",
    "Prambanan",
    "Merapi",
    "Nusa",
    "Arjuna",
    "Cempaka",
    "Rimba",
    "Samudra",
    "Anggrek",
    "Melati",
    "Pelangi",
    "Kirana",
    "Mandala",
    "Garuda",
    "Cendana",
    "Bahari",
    "Dieng",
    "Kawi",
    "Lawu",
    "Serayu",
    "Northwind",
    "Alder",
    "Fjord",
    "Solstice",
    "Meridian",
    "Harbour",
    "Juniper",
    "Copper",
]
STYLES = [
    "Classic",
    "Compact",
    "Bamboo",
    "Teak",
    "Rattan",
    "Travel",
    "Studio",
    "Junior",
    "Large",
    "Foldable",
    "Recycled",
    "Deluxe",
]

MONTHS = (0.75, 0.7, 0.9, 1.0, 1.0, 1.05, 1.45, 1.1, 0.9, 1.0, 1.4, 1.9)
WEEKDAYS = (1.0, 0.9, 0.9, 1.0, 1.2, 1.5, 1.3)
LINES = Weighted({1: 34, 2: 28, 3: 18, 4: 10, 5: 6, 6: 4})
QUANTITIES = Weighted({1: 70, 2: 18, 3: 7, 5: 4, 10: 1})
STATUSES = Weighted({OrderStatus.SHIPPED: 96, OrderStatus.CANCELLED: 4})


def fills(products: int, seed: int) -> tuple[Fill, ...]:
    """The shop's tables in these sizes."""
    shop = Shop(products, seed)
    return (
        Fill(
            table_of(Product), ("id", "name", "category", "price", "stock", *TIMES),
            products, products, shop.make_products,
        ),
        Fill(
            table_of(Customer), ("id", "full_name", "email", "city", *TIMES),
            shop.customers, shop.customers, shop.make_customers,
        ),
        Fill(
            table_of(Order), ("id", "customer_id", "status", "total", *TIMES),
            shop.orders, shop.orders, shop.make_orders,
        ),
        Fill(
            table_of(OrderItem),
            ("id", "order_id", "product_id", "quantity", "price", *TIMES),
            shop.orders, shop.lines_before(shop.orders), shop.make_items,
        ),
    )  # fmt: skip


def season(day: date) -> float:
    """How much is sold on a day: before school and before the holidays the most."""
    growth = 1 + (day - OPENED).days / 1500
    return MONTHS[day.month - 1] * WEEKDAYS[day.weekday()] * growth


class Shop:
    """What orders, their lines and their customers must agree about."""

    # So many orders in a row have a fixed number of lines together; a line's key can
    # be told without counting all lines before it.
    PATTERN = 64

    def __init__(self, products: int, seed: int) -> None:
        self.products = products
        self.customers = int(products * CUSTOMERS_OF_A_PRODUCT)
        self.orders = products * ORDERS_OF_A_PRODUCT
        self._people = People(seed, "customers")
        self._goods = Chance(seed, "products")
        self._sales = Chance(seed, "orders")
        self._timeline = Timeline(OPENED, season)
        self._popular = Scattered(seed, "popular", max(products, 1))
        pattern = [LINES.at((n + 0.5) / self.PATTERN) for n in range(self.PATTERN)]
        mixed = Scattered(seed, "lines", self.PATTERN)
        self._pattern = [pattern[mixed[n]] for n in range(self.PATTERN)]
        self._before = [sum(self._pattern[:n]) for n in range(self.PATTERN + 1)]

    def make_products(self, units: range, _random: Random) -> Iterator[Row]:
        """Goods with names of their own; one in twenty is sold out."""
        for unit in units:
            category, name = self._name(unit)
            created = self._timeline.at(0) + timedelta(minutes=unit % 9000)
            draw = self._goods.number(unit, 1)
            updated = created + timedelta(
                seconds=draw % int((NOW - created).total_seconds())
            )
            stock = 0 if draw % 20 == 0 else draw // 32 % 240
            yield unit + 1, name, category, self._price(unit), stock, created, updated

    def make_customers(self, units: range, _random: Random) -> Iterator[Row]:
        """People who came one after the other, each before their first order."""
        for unit in units:
            person = self._people[unit]
            draw = self._goods.number(unit, 2)
            created = self._timeline.at(unit / self.customers) - timedelta(minutes=9)
            city = None if draw % 12 == 0 else CITIES[draw // 16 % len(CITIES)]
            email = address(person, DOMAINS[draw // 1024 % len(DOMAINS)])
            yield unit + 1, person.full_name, email, city, created, created

    def make_orders(self, units: range, _random: Random) -> Iterator[Row]:
        """Orders in the order of their times, with the sum of their lines."""
        for unit in units:
            share, created = self._when(unit)
            # Whoever had come by then; newer customers order more.
            known = max(1, int(share * self.customers))
            customer = int(known * (1 - self._sales.share(unit, 1) ** 2))
            status, updated = self._state(unit, created)
            total = sum(price * quantity for _, quantity, price in self._lines(unit))
            yield (
                unit + 1,
                min(customer, known - 1) + 1,
                status.value,
                total,
                created,
                updated,
            )

    def make_items(self, units: range, _random: Random) -> Iterator[Row]:
        """The lines of each order, at the price of that day."""
        for unit in units:
            _, created = self._when(unit)
            key = self.lines_before(unit) + 1
            for line, (product, quantity, price) in enumerate(self._lines(unit)):
                yield (
                    key + line,
                    unit + 1,
                    product + 1,
                    quantity,
                    price,
                    created,
                    created,
                )

    def lines_before(self, order: int) -> int:
        """How many lines all orders before this one have."""
        full, rest = divmod(order, self.PATTERN)
        return full * self._before[-1] + self._before[rest]

    def _lines(self, order: int) -> list[tuple[int, int, Decimal]]:
        """Product, quantity and price of each line; no product twice."""
        wanted = min(self._pattern[order % self.PATTERN], self.products)
        _, created = self._when(order)
        # Prices have risen by some four percent a year.
        years = (NOW - created).days / 365
        lines: dict[int, tuple[int, Decimal]] = {}
        draw = 10
        while len(lines) < wanted:
            popular = self._sales.share(order, draw) ** 2
            product = self._popular[int(popular * self.products)]
            if product not in lines:
                quantity = QUANTITIES.at(self._sales.share(order, draw + 1))
                lines[product] = quantity, _then(self._price(product), years)
            draw += 2
        return [(product, *line) for product, line in lines.items()]

    def _when(self, order: int) -> tuple[float, datetime]:
        share = (order + 0.5) / self.orders
        return share, self._timeline.at(share)

    def _state(self, order: int, created: datetime) -> tuple[OrderStatus, datetime]:
        """New orders are on their way, old ones have arrived or were given up."""
        age = NOW - created
        if age < timedelta(days=2):
            return OrderStatus.PLACED, created
        if age < timedelta(days=5):
            return OrderStatus.PAID, created + timedelta(hours=3)
        hours = 20 + self._sales.below(70, order, 2)
        return STATUSES.at(self._sales.share(order, 3)), created + timedelta(
            hours=hours
        )

    def _price(self, product: int) -> Decimal:
        """What it costs today: some end in .90, some in .50, some in nothing."""
        _, middle = list(GOODS.values())[product % len(GOODS)]
        share = self._goods.share(product, 3)
        whole = max(1, round(middle * (0.4 + 1.6 * share * share + 0.3 * share)))
        return Decimal(whole) + self._goods.pick(ENDINGS, product, 4)

    def _name(self, product: int) -> tuple[str, str]:
        """The category and a name that no other product has."""
        number, place = divmod(product, len(GOODS))
        category, (goods, _) = list(GOODS.items())[place]
        kinds = goods.split(",")
        number, kind = divmod(number, len(kinds))
        number, maker = divmod(number, len(MAKERS))
        model, style = divmod(number, len(STYLES))
        maker = (maker + 5 * kind + 3 * place) % len(MAKERS)
        style = (style + maker + kind) % len(STYLES)
        name = f"{MAKERS[maker]} {STYLES[style]} {kinds[kind]}"
        return category, f"{name} {model + 1}" if model else name


ENDINGS = (Decimal("0.00"), Decimal("0.50"), Decimal("0.90"), Decimal("0.95"))


def _then(price: Decimal, years: float) -> Decimal:
    """A price some years ago, in whole cents."""
    return (price * Decimal(round(1000 - 40 * years)) / 1000).quantize(Decimal("0.01"))
