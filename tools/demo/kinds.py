"""What the demo shop sells: kinds, each in two cuts or more, with their words in both languages and their data.

A kind is what a customer asks for (a sweater); a cut is one silhouette of it (a roll-neck sweater). {look} in a text is where
the colour and the pattern go. To grow the catalogue, add a kind or a cut here (and its silhouette), a colour or a pattern in
palette.py, or ask draw_catalogue.py for more products: it combines what there is.
"""
from dataclasses import dataclass
from typing import Callable

import bags
import footwear
import garments
import hats
import lamps
import tableware

CLOTHES_SIZES = ("XS", "S", "M", "L", "XL")
SHOE_SIZES = ("36", "37", "38", "39", "40", "41", "42")
HAT_SIZES = ("S/M", "L/XL")
ALL_PATTERNS = ("plain", "striped", "dotted", "checked")
ALL_COLOURS = ("red", "blue", "green", "yellow", "black", "white", "pink", "orange", "purple", "brown", "grey", "navy",
               "beige", "turquoise")


@dataclass(frozen=True)
class Cut:
    draw: Callable
    english: str
    french: str             # of the kind's gender and number
    english_text: str
    french_text: str


@dataclass(frozen=True)
class Kind:
    """Its own silhouette and words are its first cut."""
    slug: str
    category: str
    draw: Callable
    english: str
    french: str
    gender: str             # of the French noun: m or f
    material: str
    matiere: str
    price: float            # around which prices vary
    english_text: str
    french_text: str
    plural: bool = False    # of the French noun: trousers are one in French
    sizes: tuple = ()
    dimensions: tuple = ()  # height, width, depth in cm
    patterns: tuple = ALL_PATTERNS
    firsts: tuple = ()      # the looks that come first, "colour pattern cut", the first cut if none; the rest in a seeded order
    more_cuts: tuple = ()

    @property
    def cuts(self):
        return (Cut(self.draw, self.english, self.french, self.english_text, self.french_text), *self.more_cuts)


KINDS = (
    Kind("tshirt", "t-shirts", garments.tshirt, "t-shirt", "t-shirt", "m", "cotton", "coton", 14.90,
         "{A} {look} t-shirt in soft cotton, with a round neck and short sleeves.",
         "Un t-shirt {look} en coton doux, à col rond et manches courtes.",
         sizes=CLOTHES_SIZES, firsts=("red plain", "navy striped", "white plain", "yellow dotted", "black plain", "green plain",
                                      "red striped", "red dotted 2", "blue plain 2", "grey plain 2"),
         more_cuts=(Cut(garments.v_neck_tshirt, "V-neck t-shirt", "t-shirt à col en V",
                        "{A} {look} t-shirt in soft cotton, with a V-neck and short sleeves.",
                        "Un t-shirt {look} en coton doux, à col en V et manches courtes."),)),
    Kind("shirt", "shirts", garments.shirt, "shirt", "chemise", "f", "cotton poplin", "popeline de coton", 39.00,
         "{A} {look} long-sleeved shirt in cotton poplin, with a chest pocket and a classic collar.",
         "Une chemise {look} à manches longues en popeline de coton, avec une poche poitrine et un col classique.",
         sizes=CLOTHES_SIZES, firsts=("white plain", "red checked", "blue striped", "green checked", "red plain",
                                      "red striped", "black plain 2"),
         more_cuts=(Cut(garments.band_collar_shirt, "band collar shirt", "chemise à col officier",
                        "{A} {look} long-sleeved shirt in cotton poplin, with a band collar and three buttons.",
                        "Une chemise {look} à manches longues en popeline de coton, avec un col officier et trois boutons."),)),
    Kind("dress", "dresses", garments.dress, "dress", "robe", "f", "viscose", "viscose", 59.00,
         "{A} {look} sleeveless dress with a fitted waist and a flared skirt, light enough for summer evenings.",
         "Une robe {look} sans manches, à la taille ajustée et à la jupe évasée, légère pour les soirs d'été.",
         sizes=CLOTHES_SIZES, firsts=("red dotted", "blue plain", "black plain", "green checked", "red plain"),
         more_cuts=(Cut(garments.shift_dress, "shift dress", "robe droite",
                        "{A} {look} shift dress with short sleeves and a round neck, cut to the knee.",
                        "Une robe droite {look} à manches courtes et col rond, coupée au genou."),)),
    Kind("skirt", "skirts", garments.skirt, "skirt", "jupe", "f", "cotton twill", "sergé de coton", 34.50,
         "{A} {look} flared skirt with a buttoned waistband and soft pleats.",
         "Une jupe évasée {look}, avec une ceinture boutonnée et des plis souples.",
         sizes=CLOTHES_SIZES, firsts=("pink plain", "navy dotted", "yellow checked"),
         more_cuts=(Cut(garments.pencil_skirt, "pencil skirt", "jupe crayon",
                        "{A} {look} pencil skirt with a high waistband and a slit at the front.",
                        "Une jupe crayon {look}, à taille haute et fendue sur le devant."),)),
    Kind("trousers", "trousers", garments.trousers, "trousers", "pantalon", "m", "cotton twill", "sergé de coton", 49.90,
         "{Look} trousers with a straight leg, two pockets and belt loops.",
         "Un pantalon {look} à coupe droite, avec deux poches et des passants de ceinture.",
         sizes=CLOTHES_SIZES, patterns=("plain", "striped", "checked"),
         firsts=("blue plain", "beige plain", "grey checked"),
         more_cuts=(Cut(garments.wide_trousers, "wide-leg trousers", "pantalon large",
                        "{Look} wide-leg trousers with two pockets and belt loops, fluid at every step.",
                        "Un pantalon large {look}, avec deux poches et des passants de ceinture, fluide à chaque pas."),)),
    Kind("shorts", "trousers", garments.shorts, "shorts", "short", "m", "cotton jersey", "jersey de coton", 24.90,
         "{Look} shorts in cotton jersey, with a drawstring waist.",
         "Un short {look} en jersey de coton, resserré par un cordon à la taille.",
         sizes=CLOTHES_SIZES, firsts=("orange plain", "turquoise dotted", "green plain"),
         more_cuts=(Cut(garments.bermuda_shorts, "bermuda shorts", "bermuda",
                        "{Look} bermuda shorts to the knee, with belt loops and turned-up hems.",
                        "Un bermuda {look} au genou, avec des passants de ceinture et des revers."),)),
    Kind("sweater", "sweaters", garments.sweater, "sweater", "pull", "m", "merino wool", "laine mérinos", 64.00,
         "{A} {look} sweater knitted in merino wool, with ribbed collar, cuffs and hem.",
         "Un pull {look} tricoté en laine mérinos, à col, poignets et bas côtelés.",
         sizes=CLOTHES_SIZES, firsts=("green plain", "red striped", "grey plain"),
         more_cuts=(Cut(garments.roll_neck_sweater, "roll-neck sweater", "pull à col roulé",
                        "{A} {look} roll-neck sweater knitted in merino wool, warm up to the chin.",
                        "Un pull à col roulé {look} tricoté en laine mérinos, chaud jusqu'au menton."),
                    Cut(garments.v_neck_sweater, "V-neck sweater", "pull à col en V",
                        "{A} {look} V-neck sweater knitted in merino wool, to wear over a shirt.",
                        "Un pull à col en V {look} tricoté en laine mérinos, à porter sur une chemise."),)),
    Kind("hoodie", "sweaters", garments.hoodie, "hoodie", "sweat à capuche", "m", "brushed cotton", "coton gratté", 44.90,
         "{A} {look} hoodie in brushed cotton, with a kangaroo pocket and a drawstring hood.",
         "Un sweat à capuche {look} en coton gratté, avec une poche kangourou et une capuche à cordon.",
         sizes=CLOTHES_SIZES, firsts=("purple plain", "yellow plain", "navy striped"),
         more_cuts=(Cut(garments.zipped_hoodie, "zipped hoodie", "sweat à capuche zippé",
                        "{A} {look} zipped hoodie in brushed cotton, with two pockets and a drawstring hood.",
                        "Un sweat à capuche zippé {look} en coton gratté, avec deux poches et une capuche à cordon."),)),
    Kind("sneakers", "shoes", footwear.pair(footwear.sneaker), "sneakers", "baskets", "f", "canvas", "toile", 69.00,
         "{Look} canvas sneakers with white laces and a rubber sole.",
         "Des baskets {look} en toile, avec des lacets blancs et une semelle en caoutchouc.",
         plural=True, sizes=SHOE_SIZES, firsts=("red plain", "blue plain", "black checked", "white plain"),
         more_cuts=(Cut(footwear.pair(footwear.high_top, drop=26), "high-top sneakers", "baskets montantes",
                        "{Look} high-top sneakers in canvas, with white laces and a rubber toe cap.",
                        "Des baskets montantes {look} en toile, avec des lacets blancs et un bout en caoutchouc."),)),
    Kind("ankle-boots", "shoes", footwear.pair(footwear.ankle_boot, drop=26), "ankle boots", "bottines", "f", "leather", "cuir", 119.00,
         "{Look} leather ankle boots with elastic sides and a small heel.",
         "Des bottines {look} en cuir, avec des côtés élastiques et un petit talon.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain",), firsts=("brown plain", "black plain", "green plain"),
         more_cuts=(Cut(footwear.pair(footwear.lace_up_boot, drop=26), "lace-up ankle boots", "bottines à lacets",
                        "{Look} leather ankle boots with laces, metal eyelets and a small heel.",
                        "Des bottines à lacets {look} en cuir, avec des œillets en métal et un petit talon."),)),
    Kind("rain-boots", "shoes", footwear.pair(footwear.rain_boot, 0.94, 40), "rain boots", "bottes de pluie", "f", "rubber", "caoutchouc",
         36.00, "{Look} waterproof rain boots in natural rubber, with a non-slip sole.",
         "Des bottes de pluie {look}, imperméables, en caoutchouc naturel, à semelle antidérapante.",
         plural=True, sizes=SHOE_SIZES, firsts=("yellow plain", "pink dotted", "navy striped"),
         more_cuts=(Cut(footwear.pair(footwear.buckled_rain_boot, 0.94, 40), "buckled rain boots", "bottes de pluie à boucle",
                        "{Look} waterproof rain boots in natural rubber, with a buckled strap and a light sole.",
                        "Des bottes de pluie {look}, imperméables, en caoutchouc naturel, avec une bride à boucle et une semelle claire."),)),
    Kind("sandals", "shoes", footwear.pair(footwear.sandal), "sandals", "sandales", "f", "leather", "cuir", 54.00,
         "{Look} leather sandals with two straps, a metal buckle and a cork footbed.",
         "Des sandales {look} en cuir, avec deux brides, une boucle en métal et une semelle en liège.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain",), firsts=("orange plain", "turquoise plain", "brown plain"),
         more_cuts=(Cut(footwear.pair(footwear.slide), "slip-on sandals", "sandales à enfiler",
                        "{Look} leather sandals to slip on, with two buckles and a cork footbed.",
                        "Des sandales {look} en cuir à enfiler, avec deux boucles et une semelle en liège."),)),
    Kind("pumps", "shoes", footwear.pair(footwear.pump), "high heels", "escarpins", "m", "suede", "daim", 89.00,
         "{Look} suede high heels with a slender heel and a pointed toe.",
         "Des escarpins {look} en daim, à talon fin et bout pointu.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain", "dotted"), firsts=("red plain", "purple plain", "black dotted"),
         more_cuts=(Cut(footwear.pair(footwear.ankle_strap_pump), "ankle-strap heels", "escarpins à bride",
                        "{Look} suede heels with an ankle strap and a broad heel that is easy to walk on.",
                        "Des escarpins à bride {look} en daim, au talon large avec lequel on marche sans peine."),)),
    Kind("tote", "bags", bags.tote, "tote bag", "sac cabas", "m", "canvas", "toile", 22.00,
         "{A} {look} tote bag in sturdy canvas, with two long handles.",
         "Un sac cabas {look} en toile robuste, avec deux longues anses.",
         dimensions=(38, 42, 12), firsts=("beige plain", "blue striped", "red checked"),
         more_cuts=(Cut(bags.pocket_tote, "pocket tote bag", "sac cabas à poche",
                        "{A} {look} tote bag in sturdy canvas, with long handles and a pocket at the front.",
                        "Un sac cabas {look} en toile robuste, avec de longues anses et une poche sur le devant."),)),
    Kind("backpack", "bags", bags.backpack, "backpack", "sac à dos", "m", "recycled polyester", "polyester recyclé", 58.00,
         "{A} {look} backpack with a padded back, a zipped main compartment and a front pocket.",
         "Un sac à dos {look} au dos rembourré, avec un grand compartiment zippé et une poche avant.",
         dimensions=(44, 30, 16), firsts=("green plain", "navy plain", "pink dotted"),
         more_cuts=(Cut(bags.roll_top_backpack, "roll-top backpack", "sac à dos à rabat roulé",
                        "{A} {look} backpack that rolls shut, with two straps and a front pocket.",
                        "Un sac à dos {look} qui se ferme en roulant le haut, avec deux sangles et une poche avant."),)),
    Kind("handbag", "bags", bags.handbag, "handbag", "sac à main", "m", "leather", "cuir", 139.00,
         "{A} {look} leather handbag with a flap, a golden clasp and a curved handle.",
         "Un sac à main {look} en cuir, avec un rabat, un fermoir doré et une anse arrondie.",
         dimensions=(26, 32, 14), patterns=("plain", "checked"), firsts=("brown plain", "red plain", "black plain"),
         more_cuts=(Cut(bags.shoulder_bag, "half-moon handbag", "sac à main demi-lune",
                        "{A} {look} leather handbag in the shape of a half moon, closed by a golden zip.",
                        "Un sac à main demi-lune {look} en cuir, fermé par un zip doré."),)),
    Kind("mug", "cups", tableware.mug, "mug", "mug", "m", "stoneware", "grès", 12.50,
         "{A} {look} stoneware mug with a large handle, for coffee in the morning.",
         "Un mug {look} en grès, avec une grande anse, pour le café du matin.",
         dimensions=(10, 12, 9), firsts=("red plain", "blue striped", "white dotted", "green plain"),
         more_cuts=(Cut(tableware.tapered_mug, "tapered mug", "mug évasé",
                        "{A} {look} stoneware mug, wide at the top, with an angular handle.",
                        "Un mug {look} en grès, évasé vers le haut, avec une anse anguleuse."),)),
    Kind("teacup", "cups", tableware.teacup, "teacup", "tasse à thé", "f", "porcelain", "porcelaine", 18.00,
         "{A} {look} porcelain teacup with its saucer.",
         "Une tasse à thé {look} en porcelaine, avec sa soucoupe.",
         dimensions=(7, 15, 15), firsts=("white plain", "pink dotted", "turquoise plain"),
         more_cuts=(Cut(tableware.tall_teacup, "tall teacup", "tasse à thé haute",
                        "{A} {look} tall porcelain teacup with its saucer.",
                        "Une tasse à thé haute {look} en porcelaine, avec sa soucoupe."),)),
    Kind("tumbler", "cups", tableware.tumbler, "travel tumbler", "gobelet isotherme", "m", "stainless steel", "acier inoxydable",
         26.00, "{A} {look} insulated travel tumbler in stainless steel, with a lid that does not leak.",
         "Un gobelet isotherme {look} en acier inoxydable, avec un couvercle étanche.",
         dimensions=(20, 8, 8), firsts=("black plain", "orange plain", "purple dotted"),
         more_cuts=(Cut(tableware.handled_tumbler, "travel tumbler with a handle", "gobelet isotherme à anse",
                        "{A} {look} insulated travel tumbler in stainless steel, with a handle and a lid that does not leak.",
                        "Un gobelet isotherme {look} en acier inoxydable, avec une anse et un couvercle étanche."),)),
    Kind("table-lamp", "lamps", lamps.table_lamp, "table lamp", "lampe de table", "f", "linen and wood", "lin et bois", 49.00,
         "{A} {look} table lamp with a linen shade and a turned wooden base.",
         "Une lampe de table {look}, avec un abat-jour en lin et un pied en bois tourné.",
         dimensions=(46, 30, 30), firsts=("yellow plain", "blue dotted", "red plain"),
         more_cuts=(Cut(lamps.drum_table_lamp, "drum table lamp", "lampe de table cylindrique",
                        "{A} {look} table lamp with a straight linen shade on a slender wooden base.",
                        "Une lampe de table {look}, avec un abat-jour droit en lin sur un pied en bois élancé."),)),
    Kind("floor-lamp", "lamps", lamps.floor_lamp, "floor lamp", "lampadaire", "m", "cotton and oak", "coton et chêne", 129.00,
         "{A} {look} floor lamp with a cotton shade on an oak tripod.",
         "Un lampadaire {look}, avec un abat-jour en coton sur un trépied en chêne.",
         dimensions=(150, 45, 45), firsts=("grey plain", "green striped", "orange plain"),
         more_cuts=(Cut(lamps.column_floor_lamp, "column floor lamp", "lampadaire droit",
                        "{A} {look} floor lamp with a cotton shade on a straight oak leg and a pull switch.",
                        "Un lampadaire droit {look}, avec un abat-jour en coton sur un pied en chêne et un interrupteur à tirette."),)),
    Kind("pendant", "lamps", lamps.pendant, "pendant lamp", "suspension", "f", "painted metal", "métal peint", 75.00,
         "{A} {look} pendant lamp in painted metal, to hang above a table.",
         "Une suspension {look} en métal peint, à accrocher au-dessus d'une table.",
         dimensions=(28, 40, 40), patterns=("plain", "striped", "dotted"), firsts=("black plain", "turquoise plain", "pink plain"),
         more_cuts=(Cut(lamps.cone_pendant, "cone pendant lamp", "suspension conique",
                        "{A} {look} pendant lamp in painted metal, shaped like a cone, to hang above a table.",
                        "Une suspension conique {look} en métal peint, à accrocher au-dessus d'une table."),)),
    Kind("desk-lamp", "lamps", lamps.desk_lamp, "desk lamp", "lampe de bureau", "f", "steel", "acier", 42.00,
         "{A} {look} steel desk lamp with a jointed arm and a shade that turns.",
         "Une lampe de bureau {look} en acier, avec un bras articulé et une tête orientable.",
         dimensions=(52, 22, 18), patterns=("plain",), firsts=("red plain", "white plain", "navy plain"),
         more_cuts=(Cut(lamps.bowed_desk_lamp, "bowed desk lamp", "lampe de bureau arquée",
                        "{A} {look} steel desk lamp with a bowed arm and a shade like a bell.",
                        "Une lampe de bureau arquée {look} en acier, avec une tête en cloche."),)),
    Kind("cap", "hats", hats.cap, "cap", "casquette", "f", "cotton twill", "sergé de coton", 19.00,
         "{A} {look} cap with a curved peak and an adjustable strap.",
         "Une casquette {look}, avec une visière incurvée et une bride réglable.",
         sizes=HAT_SIZES, firsts=("blue plain", "black plain", "red checked"),
         more_cuts=(Cut(hats.snapback, "flat-peak cap", "casquette à visière plate",
                        "{A} {look} cap with a high front, a flat peak and an adjustable strap.",
                        "Une casquette {look} à façade haute, avec une visière plate et une bride réglable."),)),
    Kind("beanie", "hats", hats.beanie, "beanie", "bonnet", "m", "wool", "laine", 17.50,
         "{A} {look} knitted wool beanie with a pompom.",
         "Un bonnet {look} en laine tricotée, avec un pompon.",
         sizes=HAT_SIZES, patterns=("plain", "striped"), firsts=("orange striped", "purple plain", "white plain"),
         more_cuts=(Cut(hats.plain_beanie, "ribbed beanie", "bonnet côtelé",
                        "{A} {look} knitted wool beanie with a wide ribbed brim.",
                        "Un bonnet {look} en laine tricotée, à large revers côtelé."),)),
    Kind("sun-hat", "hats", hats.sun_hat, "sun hat", "chapeau de soleil", "m", "straw", "paille", 29.00,
         "{A} {look} straw sun hat with a wide brim and a ribbon.",
         "Un chapeau de soleil {look} en paille, à large bord et ruban.",
         sizes=HAT_SIZES, patterns=("plain",), firsts=("beige plain", "pink plain", "navy plain"),
         more_cuts=(Cut(hats.floppy_hat, "floppy sun hat", "chapeau de soleil souple",
                        "{A} {look} straw sun hat with a very wide, floppy brim.",
                        "Un chapeau de soleil {look} en paille, à très large bord souple."),)),
)

# A second sentence that any product of the category may carry, in both languages.
NOTES = {
    "clothes": (("Machine wash at 30 °C.", "Lavable en machine à 30 °C."),
                ("True to size.", "Taille normalement."),
                ("Made in Portugal.", "Fabrication portugaise."),
                ("Goes with everything you own.", "S'accorde avec toute votre garde-robe.")),
    "shoes": (("Comfortable from the first day.", "Confort dès le premier jour."),
              ("Delivered in a recycled box.", "Livraison dans une boîte recyclée."),
              ("Cleans with a damp cloth.", "Se nettoie avec un chiffon humide.")),
    "bags": (("Roomy enough for every day.", "Assez de place pour tous les jours."),
             ("One inner pocket for keys and phone.", "Une poche intérieure pour les clés et le téléphone.")),
    "hats": (("Goes with every coat you own.", "S'accorde avec tous vos manteaux."),
             ("Made in Portugal.", "Fabrication portugaise.")),
    "cups": (("Dishwasher safe.", "Passe au lave-vaisselle."),
             ("Makes a lovely present.", "Une belle idée cadeau.")),
    "lamps": (("Takes an E27 bulb, not included.", "Ampoule E27 non fournie."),
              ("Gives a warm, quiet light.", "Diffuse une lumière chaude et douce.")),
}


def notes(kind):
    return NOTES.get(kind.category, NOTES["clothes"])
