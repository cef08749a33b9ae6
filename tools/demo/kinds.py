"""What the demo shop sells: one Kind for each silhouette, with its words in both languages and its data.

{look} in a text is where the colour and the pattern go. To grow the catalogue, add a kind here (and its silhouette), a
colour or a pattern in palette.py, or ask draw_catalogue.py for more products: it combines what there is.
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
class Kind:
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
    firsts: tuple = ()      # the looks that come first, "colour pattern"; the rest follow in a seeded order


KINDS = (
    Kind("tshirt", "t-shirts", garments.tshirt, "t-shirt", "t-shirt", "m", "cotton", "coton", 14.90,
         "{A} {look} t-shirt in soft cotton, with a round neck and short sleeves.",
         "Un t-shirt {look} en coton doux, à col rond et manches courtes.",
         sizes=CLOTHES_SIZES, firsts=("red plain", "navy striped", "white plain", "yellow dotted", "black plain", "green plain")),
    Kind("shirt", "shirts", garments.shirt, "shirt", "chemise", "f", "cotton poplin", "popeline de coton", 39.00,
         "{A} {look} long-sleeved shirt in cotton poplin, with a chest pocket and a classic collar.",
         "Une chemise {look} à manches longues en popeline de coton, avec une poche poitrine et un col classique.",
         sizes=CLOTHES_SIZES, firsts=("white plain", "red checked", "blue striped", "green checked")),
    Kind("dress", "dresses", garments.dress, "dress", "robe", "f", "viscose", "viscose", 59.00,
         "{A} {look} sleeveless dress with a fitted waist and a flared skirt, light enough for summer evenings.",
         "Une robe {look} sans manches, à la taille ajustée et à la jupe évasée, légère pour les soirs d'été.",
         sizes=CLOTHES_SIZES, firsts=("red dotted", "blue plain", "black plain", "green checked")),
    Kind("skirt", "skirts", garments.skirt, "skirt", "jupe", "f", "cotton twill", "sergé de coton", 34.50,
         "{A} {look} flared skirt with a buttoned waistband and soft pleats.",
         "Une jupe évasée {look}, avec une ceinture boutonnée et des plis souples.",
         sizes=CLOTHES_SIZES, firsts=("pink plain", "navy dotted", "yellow checked")),
    Kind("trousers", "trousers", garments.trousers, "trousers", "pantalon", "m", "cotton twill", "sergé de coton", 49.90,
         "{Look} trousers with a straight leg, two pockets and belt loops.",
         "Un pantalon {look} à coupe droite, avec deux poches et des passants de ceinture.",
         sizes=CLOTHES_SIZES, patterns=("plain", "striped", "checked"),
         firsts=("blue plain", "beige plain", "grey checked")),
    Kind("shorts", "trousers", garments.shorts, "shorts", "short", "m", "cotton jersey", "jersey de coton", 24.90,
         "{Look} shorts in cotton jersey, with a drawstring waist.",
         "Un short {look} en jersey de coton, resserré par un cordon à la taille.",
         sizes=CLOTHES_SIZES, firsts=("orange plain", "turquoise dotted", "green plain")),
    Kind("sweater", "sweaters", garments.sweater, "sweater", "pull", "m", "merino wool", "laine mérinos", 64.00,
         "{A} {look} sweater knitted in merino wool, with ribbed collar, cuffs and hem.",
         "Un pull {look} tricoté en laine mérinos, à col, poignets et bas côtelés.",
         sizes=CLOTHES_SIZES, firsts=("green plain", "red striped", "grey plain")),
    Kind("hoodie", "sweaters", garments.hoodie, "hoodie", "sweat à capuche", "m", "brushed cotton", "coton gratté", 44.90,
         "{A} {look} hoodie in brushed cotton, with a kangaroo pocket and a drawstring hood.",
         "Un sweat à capuche {look} en coton gratté, avec une poche kangourou et une capuche à cordon.",
         sizes=CLOTHES_SIZES, firsts=("purple plain", "yellow plain", "navy striped")),
    Kind("sneakers", "shoes", footwear.pair(footwear.sneaker), "sneakers", "baskets", "f", "canvas", "toile", 69.00,
         "{Look} canvas sneakers with white laces and a rubber sole.",
         "Des baskets {look} en toile, avec des lacets blancs et une semelle en caoutchouc.",
         plural=True, sizes=SHOE_SIZES, firsts=("red plain", "blue plain", "black checked", "white plain")),
    Kind("ankle-boots", "shoes", footwear.pair(footwear.ankle_boot, drop=26), "ankle boots", "bottines", "f", "leather", "cuir", 119.00,
         "{Look} leather ankle boots with elastic sides and a small heel.",
         "Des bottines {look} en cuir, avec des côtés élastiques et un petit talon.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain",), firsts=("brown plain", "black plain", "green plain")),
    Kind("rain-boots", "shoes", footwear.pair(footwear.rain_boot, 0.94, 40), "rain boots", "bottes de pluie", "f", "rubber", "caoutchouc",
         36.00, "{Look} waterproof rain boots in natural rubber, with a non-slip sole.",
         "Des bottes de pluie {look}, imperméables, en caoutchouc naturel, à semelle antidérapante.",
         plural=True, sizes=SHOE_SIZES, firsts=("yellow plain", "pink dotted", "navy striped")),
    Kind("sandals", "shoes", footwear.pair(footwear.sandal), "sandals", "sandales", "f", "leather", "cuir", 54.00,
         "{Look} leather sandals with two straps, a metal buckle and a cork footbed.",
         "Des sandales {look} en cuir, avec deux brides, une boucle en métal et une semelle en liège.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain",), firsts=("orange plain", "turquoise plain", "brown plain")),
    Kind("pumps", "shoes", footwear.pair(footwear.pump), "high heels", "escarpins", "m", "suede", "daim", 89.00,
         "{Look} suede high heels with a slender heel and a pointed toe.",
         "Des escarpins {look} en daim, à talon fin et bout pointu.",
         plural=True, sizes=SHOE_SIZES, patterns=("plain", "dotted"), firsts=("red plain", "purple plain", "black dotted")),
    Kind("tote", "bags", bags.tote, "tote bag", "sac cabas", "m", "canvas", "toile", 22.00,
         "{A} {look} tote bag in sturdy canvas, with two long handles.",
         "Un sac cabas {look} en toile robuste, avec deux longues anses.",
         dimensions=(38, 42, 12), firsts=("beige plain", "blue striped", "red checked")),
    Kind("backpack", "bags", bags.backpack, "backpack", "sac à dos", "m", "recycled polyester", "polyester recyclé", 58.00,
         "{A} {look} backpack with a padded back, a zipped main compartment and a front pocket.",
         "Un sac à dos {look} au dos rembourré, avec un grand compartiment zippé et une poche avant.",
         dimensions=(44, 30, 16), firsts=("green plain", "navy plain", "pink dotted")),
    Kind("handbag", "bags", bags.handbag, "handbag", "sac à main", "m", "leather", "cuir", 139.00,
         "{A} {look} leather handbag with a flap, a golden clasp and a curved handle.",
         "Un sac à main {look} en cuir, avec un rabat, un fermoir doré et une anse arrondie.",
         dimensions=(26, 32, 14), patterns=("plain", "checked"), firsts=("brown plain", "red plain", "black plain")),
    Kind("mug", "cups", tableware.mug, "mug", "mug", "m", "stoneware", "grès", 12.50,
         "{A} {look} stoneware mug with a large handle, for coffee in the morning.",
         "Un mug {look} en grès, avec une grande anse, pour le café du matin.",
         dimensions=(10, 12, 9), firsts=("red plain", "blue striped", "white dotted", "green plain")),
    Kind("teacup", "cups", tableware.teacup, "teacup", "tasse à thé", "f", "porcelain", "porcelaine", 18.00,
         "{A} {look} porcelain teacup with its saucer.",
         "Une tasse à thé {look} en porcelaine, avec sa soucoupe.",
         dimensions=(7, 15, 15), firsts=("white plain", "pink dotted", "turquoise plain")),
    Kind("tumbler", "cups", tableware.tumbler, "travel tumbler", "gobelet isotherme", "m", "stainless steel", "acier inoxydable",
         26.00, "{A} {look} insulated travel tumbler in stainless steel, with a lid that does not leak.",
         "Un gobelet isotherme {look} en acier inoxydable, avec un couvercle étanche.",
         dimensions=(20, 8, 8), firsts=("black plain", "orange plain", "purple dotted")),
    Kind("table-lamp", "lamps", lamps.table_lamp, "table lamp", "lampe de table", "f", "linen and wood", "lin et bois", 49.00,
         "{A} {look} table lamp with a linen shade and a turned wooden base.",
         "Une lampe de table {look}, avec un abat-jour en lin et un pied en bois tourné.",
         dimensions=(46, 30, 30), firsts=("yellow plain", "blue dotted", "red plain")),
    Kind("floor-lamp", "lamps", lamps.floor_lamp, "floor lamp", "lampadaire", "m", "cotton and oak", "coton et chêne", 129.00,
         "{A} {look} floor lamp with a cotton shade on an oak tripod.",
         "Un lampadaire {look}, avec un abat-jour en coton sur un trépied en chêne.",
         dimensions=(150, 45, 45), firsts=("grey plain", "green striped", "orange plain")),
    Kind("pendant", "lamps", lamps.pendant, "pendant lamp", "suspension", "f", "painted metal", "métal peint", 75.00,
         "{A} {look} pendant lamp in painted metal, to hang above a table.",
         "Une suspension {look} en métal peint, à accrocher au-dessus d'une table.",
         dimensions=(28, 40, 40), patterns=("plain", "striped", "dotted"), firsts=("black plain", "turquoise plain", "pink plain")),
    Kind("desk-lamp", "lamps", lamps.desk_lamp, "desk lamp", "lampe de bureau", "f", "steel", "acier", 42.00,
         "{A} {look} steel desk lamp with a jointed arm and a shade that turns.",
         "Une lampe de bureau {look} en acier, avec un bras articulé et une tête orientable.",
         dimensions=(52, 22, 18), patterns=("plain",), firsts=("red plain", "white plain", "navy plain")),
    Kind("cap", "hats", hats.cap, "cap", "casquette", "f", "cotton twill", "sergé de coton", 19.00,
         "{A} {look} cap with a curved peak and an adjustable strap.",
         "Une casquette {look}, avec une visière incurvée et une bride réglable.",
         sizes=HAT_SIZES, firsts=("blue plain", "black plain", "red checked")),
    Kind("beanie", "hats", hats.beanie, "beanie", "bonnet", "m", "wool", "laine", 17.50,
         "{A} {look} knitted wool beanie with a pompom.",
         "Un bonnet {look} en laine tricotée, avec un pompon.",
         sizes=HAT_SIZES, patterns=("plain", "striped"), firsts=("orange striped", "purple plain", "white plain")),
    Kind("sun-hat", "hats", hats.sun_hat, "sun hat", "chapeau de soleil", "m", "straw", "paille", 29.00,
         "{A} {look} straw sun hat with a wide brim and a ribbon.",
         "Un chapeau de soleil {look} en paille, à large bord et ruban.",
         sizes=HAT_SIZES, patterns=("plain",), firsts=("beige plain", "pink plain", "navy plain")),
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
