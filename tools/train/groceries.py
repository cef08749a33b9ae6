"""The words for groceries: fine labels under coarse ones under fruit, vegetables, dairy and drinks.

Coarse and fine tables: label | English names | French names with gender. Varieties of apples and pears keep their names.
"""
COARSE = """
Apple | fruit | apple | pomme f
Avocado | fruit | avocado | avocat m
Banana | fruit | banana | banane f
Kiwi | fruit | kiwi; kiwi fruit | kiwi m
Lemon | fruit | lemon | citron m; citron jaune m
Lime | fruit | lime; green lime | citron vert m; lime f
Mango | fruit | mango | mangue f
Melon | fruit | melon | melon m
Nectarine | fruit | nectarine | nectarine f; brugnon m
Orange | fruit | orange; orange fruit | orange f
Papaya | fruit | papaya | papaye f
Passion Fruit | fruit | passion fruit | fruit de la passion m
Peach | fruit | peach | pêche f
Pear | fruit | pear | poire f
Pineapple | fruit | pineapple | ananas m
Plum | fruit | plum | prune f
Pomegranate | fruit | pomegranate | grenade f
Red Grapefruit | fruit | red grapefruit; grapefruit | pamplemousse rose m; pamplemousse m
Satsumas | fruit | satsuma; mandarin; tangerine | satsuma f; mandarine f; clémentine f
Juice | drink | juice; carton of juice; fruit juice | jus m; jus de fruits m; brique de jus f
Milk | dairy | milk; carton of milk | lait m; brique de lait f
Oatghurt | dairy | oatghurt; oat yoghurt | yaourt à l'avoine m; oatghurt m
Oat Milk | dairy | oat milk; oat drink | lait d'avoine m; boisson à l'avoine f
Sour Cream | dairy | sour cream | crème aigre f; crème fraîche f
Sour Milk | dairy | sour milk; fermented milk | lait fermenté m; lait caillé m
Soyghurt | dairy | soyghurt; soy yoghurt | yaourt au soja m; soyghurt m
Soy Milk | dairy | soy milk; soya drink | lait de soja m; boisson au soja f
Yoghurt | dairy | yoghurt; yogurt | yaourt m; yogourt m
Asparagus | vegetable | asparagus; asparagus bunch | asperge f; botte d'asperges f
Aubergine | vegetable | aubergine; eggplant | aubergine f
Cabbage | vegetable | cabbage | chou m
Carrots | vegetable | carrot | carotte f
Cucumber | vegetable | cucumber | concombre m
Garlic | vegetable | garlic; head of garlic | ail m; tête d'ail f
Ginger | vegetable | ginger; ginger root | gingembre m; racine de gingembre f
Leek | vegetable | leek | poireau m
Mushroom | vegetable | mushroom | champignon m
Onion | vegetable | onion | oignon m
Pepper | vegetable | pepper; bell pepper; sweet pepper | poivron m
Potato | vegetable | potato | pomme de terre f; patate f
Red Beet | vegetable | red beet; beetroot; beet | betterave f; betterave rouge f
Tomato | vegetable | tomato | tomate f
Zucchini | vegetable | zucchini; courgette | courgette f
"""

FINE = """
Golden Delicious | Apple | golden delicious apple; golden delicious | pomme golden f; golden delicious f
Granny Smith | Apple | granny smith apple; granny smith; green apple | pomme granny smith f; granny smith f; pomme verte f
Pink Lady | Apple | pink lady apple; pink lady | pomme pink lady f; pink lady f
Red Delicious | Apple | red delicious apple; red delicious | pomme red delicious f; pomme rouge f
Royal Gala | Apple | royal gala apple; royal gala; gala apple | pomme royal gala f; pomme gala f
Cantaloupe | Melon | cantaloupe; cantaloupe melon | melon cantaloup m; cantaloup m
Galia Melon | Melon | galia melon | melon galia m
Honeydew Melon | Melon | honeydew melon; honeydew | melon miel m; melon jaune m
Watermelon | Melon | watermelon | pastèque f; melon d'eau m
Anjou | Pear | anjou pear | poire anjou f
Conference | Pear | conference pear | poire conférence f
Kaiser | Pear | kaiser pear | poire kaiser f
Bravo Apple Juice | Juice | bravo apple juice; apple juice | jus de pomme bravo m; jus de pomme m
Bravo Orange Juice | Juice | bravo orange juice; orange juice | jus d'orange bravo m; jus d'orange m
God Morgon Apple Juice | Juice | god morgon apple juice; apple juice | jus de pomme god morgon m; jus de pomme m
God Morgon Orange Juice | Juice | god morgon orange juice; orange juice | jus d'orange god morgon m; jus d'orange m
God Morgon Orange Red Grapefruit Juice | Juice | god morgon orange red grapefruit juice | jus d'orange et pamplemousse god morgon m
God Morgon Red Grapefruit Juice | Juice | god morgon red grapefruit juice; grapefruit juice | jus de pamplemousse god morgon m; jus de pamplemousse m
Tropicana Apple Juice | Juice | tropicana apple juice; apple juice | jus de pomme tropicana m; jus de pomme m
Tropicana Golden Grapefruit | Juice | tropicana golden grapefruit juice; grapefruit juice | jus de pamplemousse tropicana m; jus de pamplemousse m
Tropicana Juice Smooth | Juice | tropicana smooth juice; tropicana orange juice | jus tropicana sans pulpe m; jus d'orange tropicana m
Tropicana Mandarin Morning | Juice | tropicana mandarin morning; mandarin juice | jus de mandarine tropicana m; jus de mandarine m
Arla Ecological Medium Fat Milk | Milk | arla organic medium fat milk; organic milk | lait bio demi-écrémé arla m; lait bio m
Arla Lactose Medium Fat Milk | Milk | arla lactose-free milk; lactose free milk | lait sans lactose arla m; lait sans lactose m
Arla Medium Fat Milk | Milk | arla medium fat milk; semi-skimmed milk | lait demi-écrémé arla m; lait demi-écrémé m
Arla Standard Milk | Milk | arla standard milk; whole milk | lait entier arla m; lait entier m
Garant Ecological Medium Fat Milk | Milk | garant organic medium fat milk; organic milk | lait bio demi-écrémé garant m; lait bio m
Garant Ecological Standard Milk | Milk | garant organic standard milk; organic milk | lait bio entier garant m; lait bio m
Oatly Natural Oatghurt | Oatghurt | oatly natural oatghurt; oatly oatghurt | oatghurt nature oatly m; yaourt à l'avoine oatly m
Oatly Oat Milk | Oat Milk | oatly oat milk; oatly | lait d'avoine oatly m
Arla Ecological Sour Cream | Sour Cream | arla organic sour cream | crème aigre bio arla f
Arla Sour Cream | Sour Cream | arla sour cream | crème aigre arla f
Arla Sour Milk | Sour Milk | arla sour milk | lait fermenté arla m
Alpro Blueberry Soyghurt | Soyghurt | alpro blueberry soyghurt; blueberry soy yoghurt | yaourt au soja myrtille alpro m
Alpro Vanilla Soyghurt | Soyghurt | alpro vanilla soyghurt; vanilla soy yoghurt | yaourt au soja vanille alpro m
Alpro Fresh Soy Milk | Soy Milk | alpro fresh soy milk | lait de soja frais alpro m
Alpro Shelf Soy Milk | Soy Milk | alpro soy milk; alpro shelf soy milk | lait de soja alpro m
Arla Mild Vanilla Yoghurt | Yoghurt | arla mild vanilla yoghurt; vanilla yoghurt | yaourt vanille arla m; yaourt à la vanille m
Arla Natural Mild Low Fat Yoghurt | Yoghurt | arla natural low fat yoghurt; low fat yoghurt | yaourt nature allégé arla m; yaourt allégé m
Arla Natural Yoghurt | Yoghurt | arla natural yoghurt; plain yoghurt | yaourt nature arla m; yaourt nature m
Valio Vanilla Yoghurt | Yoghurt | valio vanilla yoghurt; vanilla yoghurt | yaourt vanille valio m; yaourt à la vanille m
Yoggi Strawberry Yoghurt | Yoghurt | yoggi strawberry yoghurt; strawberry yoghurt | yaourt fraise yoggi m; yaourt à la fraise m
Yoggi Vanilla Yoghurt | Yoghurt | yoggi vanilla yoghurt; vanilla yoghurt | yaourt vanille yoggi m; yaourt à la vanille m
Brown Cap Mushroom | Mushroom | brown cap mushroom; brown mushroom | champignon brun m; champignon de paris brun m
Yellow Onion | Onion | yellow onion | oignon jaune m
Green Bell Pepper | Pepper | green bell pepper; green pepper | poivron vert m
Orange Bell Pepper | Pepper | orange bell pepper; orange pepper | poivron orange m
Red Bell Pepper | Pepper | red bell pepper; red pepper | poivron rouge m
Yellow Bell Pepper | Pepper | yellow bell pepper; yellow pepper | poivron jaune m
Floury Potato | Potato | floury potato | pomme de terre farineuse f
Solid Potato | Potato | solid potato; firm potato | pomme de terre à chair ferme f
Sweet Potato | Potato | sweet potato | patate douce f
Beef Tomato | Tomato | beef tomato; beefsteak tomato | tomate cœur de bœuf f
Regular Tomato | Tomato | regular tomato; round tomato | tomate ronde f
Vine Tomato | Tomato | vine tomato; tomatoes on the vine | tomate en grappe f; tomate grappe f
"""

ABOVE = """
food | - | food; grocery; groceries | nourriture f; aliment m; épicerie f
fruit | food | fruit; fresh fruit | fruit m; fruit frais m
vegetable | food | vegetable; fresh vegetable | légume m; légume frais m
dairy | food | dairy product; dairy | produit laitier m; laitage m
drink | food | drink; beverage | boisson f
"""


def slug(label):
    return "grocery " + label.lower()


def english_plural(word):
    """Good enough for this list: groceries, cherries, peaches, tomatoes."""
    if word.endswith(("s", "juice", "milk", "food", "dairy")):
        return word
    if word.endswith("y"):
        return word[:-1] + "ies" if word[-2] not in "aeiou" else word + "s"
    return word + ("es" if word.endswith(("ch", "sh", "x", "potato", "tomato", "mango")) else "s")


def french_plural(word):
    """Of the noun and an adjective right after it; what follows de, à or d' stays as it is."""
    first, *rest = word.split(" ")
    plural = first if first.endswith(("s", "x")) else first + ("x" if first.endswith(("au", "ou")) else "s")
    return " ".join([plural, *rest])


def rows(text):
    for line in text.strip().splitlines():
        label, parent, english, french = (part.strip() for part in line.split("|"))
        yield label, parent, [w.strip() for w in english.split(";")], [w.strip().rsplit(" ", 1) for w in french.split(";")]


def concepts(make_concept, make_noun):
    """Coarse labels have slugs of their own where a fine label has the same name: they are one concept."""
    for table, parent_slug in ((ABOVE, str), (COARSE, str), (FINE, slug)):
        for label, parent, english, french in rows(table):
            name = label if table is ABOVE else slug(label)
            above = "" if parent == "-" else parent_slug(parent)
            yield make_concept(name, above, tuple(make_noun(w, english_plural(w)) for w in english),
                               tuple(make_noun(w, french_plural(w), g) for w, g in french))
