"""First and family names from the places that the demo's people come from.

No family name stands in two of the lists: so a name of a list, and an address made
of it, is nobody's of another list.
"""

JAVANESE_FIRST = """
Adi Agus Ahmad Aisyah Ajeng Anggun Anindya Arif Ayu Bagas Bambang Bayu Budi Cahya Citra
Damar Dewi Dian Dimas Dini Dwi Dyah Eka Endah Fajar Farah Fitri Galih Gita Hadi Hana
Hendra Indah Intan Irfan Joko Kartika Kirana Krisna Laras Lestari Lina Mega Mira Nanda
Nia Nina Niken Novi Nur Panji Pramudya Puspa Putri Rahmat Raka Ratih Ratna Reza Rian
Rini Rizky Sari Satria Sekar Septi Sinta Siti Slamet Sri Surya Tari Teguh Tika Tri Umi
Utami Vina Wahyu Wening Widya Wira Wulan Yanti Yoga Yudha Yulia Yusuf Zahra Zaki
"""
JAVANESE_MIDDLE = """
Adhi Ageng Arum Asih Bagus Candra Dwija Estu Gandhi Harum Ismaya Jati Kencana Kusuma
Langit Maharani Maya Murti Ningsih Ningrum Nugraha Pandu Permata Prima Purnama Puspita
Rahayu Retno Saraswati Sukma Tirta Trisna Wahyuni Wijang Wulandari
"""
JAVANESE_LAST = """
Adiputra Anggraini Anwar Ardiansyah Aryanto Astuti Atmojo Baskoro Budiman Cahyono
Damayanti Darmawan Fauzi Firmansyah Handayani Handoko Hardjono Haryanto Hermawan Hidayat
Hidayati Iskandar Iswanto Kurniawan Kusnadi Kusumawati Maulana Mulyani Mulyono Mustofa
Nugroho Nuraini Oktaviani Pamungkas Pangestu Pertiwi Prabowo Pradana Prakoso Pramono
Pranata Prasetya Prasetyo Pratama Priyono Purnomo Purwanto Puspitasari Raharjo Rahmawati
Ramadhan Riyadi Rosidi Sanjaya Santosa Santoso Saputra Saputri Sasongko Setiadi Setiawan
Setyawan Siswanto Soebroto Subagyo Sudarsono Sugiarto Suharyadi Sujatmiko Sukarno
Sulistyo Sumarno Supriyadi Suprapto Susanti Susilo Sutanto Suwarno Syahputra Tjahjadi
Triyono Utomo Wardani Wardhana Wibisono Wibowo Wicaksono Widiastuti Widodo Wijayanti
Wirawan Yulianto Yuniarti Zulkarnain
"""
BATAK_FIRST = """
Andar Anita Benget Betty Binsar Bonar Chandra Christina Daniel Debora Dolok Duma Edwin
Elisabet Ester Feliks Hotma Hotman Jansen Jonathan Johannes Lamhot Lasma Lidia Luhut
Mangasi Maria Marlina Martua Monang Nauli Parlin Poltak Rosmaida Rotua Ruth Sahat
Sondang Tiur Tiurma Togar Tumpal Ucok Uli Yohana Yosua
"""
BATAK_LAST = """
Aritonang Batubara Ginting Gultom Harahap Hutabarat Hutagalung Hutapea Lubis Manalu
Manurung Marpaung Matondang Nababan Naibaho Nainggolan Nasution Pakpahan Pane Panggabean
Panjaitan Pasaribu Purba Rangkuti Saragih Sembiring Siagian Siahaan Sianturi Siburian
Sihombing Silaban Silalahi Simanjuntak Simatupang Sinaga Siregar Sitompul Sitorus
Situmorang Tambunan Tampubolon Tarigan Tobing
"""
BALINESE_FIRST = """
Gede Iluh Kadek Ketut Komang Luh Made Nengah Ni-Luh Nyoman Putu Wayan
"""
BALINESE_MIDDLE = """
Adnyana Agung Ariani Artha Astawa Asih Bagus Budiasa Citrawati Darma Dewi Eka Gunarta
Indrayani Jaya Karuni Krisna Laksmi Mahayani Nadi Oka Pande Rai Raka Sasih Suarti Suci
Surya Trisna Wati Widnyana Yasa
"""
BALINESE_LAST = """
Adnyani Antara Ardana Arnawa Dharmawan Dwipayana Mahendra Mantra Parwata Pastika
Pradnyana Puspawati Sastrawan Suardana Suartini Sudarta Sudiana Sukerta Suryani Sutarja
Swastika Udayana Wedana Wiratma Wisnawa
"""
CHINESE_FIRST = """
Agnes Albert Alvin Angela Bryan Calvin Caroline Cecilia Clara Darren Edward Evelyn
Felicia Fendy Grace Hansen Irene Jennifer Jessica Kevin Lianny Lusiana Melissa Michael
Mei-Ling Nicholas Olivia Patricia Raymond Richard Sharon Stefanie Steven Theresia
Vanessa Victor Vincent Wei-Jie William Xin-Yi Yenny
"""
CHINESE_LAST = """
Ang Gunadi Halim Hartanto Hartono Huang Kho Kosasih Kwee Liang Lie Liem Lim Lukito Oei
Ong Salim Setiabudi Sie Soetanto Susanto Tan Tanoto Tanuwijaya Tedja Thio Tjandra Tjhin
Wangsa Widjaja Wongso Yap
"""
ARABIC_FIRST = """
Abdullah Ali Alya Amina Amira Bilal Farid Fatimah Habib Hamzah Hasan Husein Ibrahim
Idris Jafar Jamila Khadijah Khalid Laila Latifah Mariam Mustafa Nabila Nadia Omar Rania
Rashid Salma Salman Samira Sofia Tariq Umar Yasmin Yasir Zainab Zayd
"""
ARABIC_LAST = """
Abdat Al-Amri Al-Attas Al-Habsyi Al-Haddad Al-Jufri Al-Kaff Assegaf Baabud Bafadal
Bahanan Balfas Basalamah Baswedan Bawazier Bin-Agil Hamid Mansoor Nahdi Shahab Shihab
Sungkar Thalib Yafie Zubaidi
"""
INDIAN_FIRST = """
Aarav Aditi Ananya Anil Arjun Asha Deepa Devi Divya Gayatri Gopal Harish Isha Kamala
Karthik Kavita Lakshmi Leela Manoj Meena Mohan Nandini Neha Nikhil Padma Pooja Prakash
Priya Rajesh Ravi Rohan Sanjay Shanti Sunita Suresh Usha Vidya Vijay
"""
INDIAN_LAST = """
Agarwal Bhatt Chatterjee Desai Ganesan Gupta Iyer Joshi Kapoor Krishnan Kumar Menon
Mehta Mukherjee Naidu Nair Narayanan Patel Pillai Rajan Raman Rao Reddy Sethi Sharma
Singh Subramaniam Varma Venkatesan
"""
EUROPEAN_FIRST = """
Ágnes Alejandro Anaïs Andreas Anneke Åsa Björn Bram Camille Daan Élodie Emil Femke
François Giulia Greta Hendrik Héctor Ingrid Jürgen Katarzyna Lars Łukasz Lotte Luca
Mădălina Marijke Matteo Niamh Nuño Orla Pieter René Saskia Siobhán Søren Sven Tomáš
Ulrike Vojtěch Wouter Zoë Žofia
"""
EUROPEAN_LAST = """
Andersson Bakker Beaumont Becker Bianchi Björklund Čapek Claes Conti De-Boer De-Groot
De-Vries Dubois Fernández Fischer García Gómez Hansson Ionescu Janssen Jørgensen
Kowalski Kovács Krüger Lefèvre Lindström Marchetti Meijer Müller Nagy Nowak Núñez
O'Brien O'Sullivan Papadopoulos Peeters Petrović Rasmussen Rossi Schäfer Schmidt Smit
Šimić Strauß Szabó Van-Dijk Van-den-Berg Visser Weiß Wiśniewska Yılmaz
"""
EAST_ASIAN_FIRST = """
Akira An Anh Bảo Chi Đức Eun-Ji Hải Hana Haruto Hiroshi Hùng Jae-Hyun Ji-Woo Kenji Khánh
Lan Linh Mai Mei Min-Jun Minh Naoko Ngọc Phương Quân Ren Sakura Seo-Yeon Sota Thảo Thu
Trang Tuấn Yến Yui Yuki
"""
EAST_ASIAN_LAST = """
Bùi Choi Đặng Đinh Dương Hayashi Hoàng Ishikawa Ito Jung Kang Kim Kobayashi Lê Lý
Matsumoto Nakamura Ngô Nguyễn Park Phạm Phan Sasaki Sato Suzuki Takahashi Tanaka Trần
Trương Võ Vũ Watanabe Yamamoto Yoon
"""
PORTUGUESE_FEMALE = """
Ana Beatriz Bruna Carla Carolina Catarina Cátia Cláudia Daniela Diana Filipa Francisca
Helena Inês Joana Juliana Leonor Luísa Mafalda Margarida Mariana Marta Matilde Mónica
Patrícia Rafaela Raquel Rita Sandra Sara Sílvia Sónia Susana Tânia Teresa Vera
"""
PORTUGUESE_MALE = """
Afonso Alexandre André António Bernardo Bruno Carlos Daniel David Diogo Duarte Eduardo
Fábio Fernando Filipe Francisco Gonçalo Henrique Hugo João Jorge José Leonardo Luís
Manuel Marco Mário Miguel Nuno Paulo Pedro Rafael Ricardo Rodrigo Rui Sérgio Simão Tiago
Tomás Vasco
"""
PORTUGUESE_LAST = """
Abreu Almeida Alves Amaral Antunes Araújo Azevedo Baptista Barbosa Barros Borges Branco
Brito Cardoso Carneiro Carvalho Castro Coelho Correia Costa Cruz Cunha Dias Domingues
Esteves Faria Fernandes Ferreira Figueiredo Fonseca Freitas Gomes Gonçalves Henriques
Jesus Leal Leite Lopes Loureiro Lourenço Macedo Machado Magalhães Maia Marques Martins
Matias Matos Melo Mendes Miranda Monteiro Morais Moreira Mota Moura Nascimento Neves
Nogueira Nunes Oliveira Pacheco Paiva Pereira Pinheiro Pinho Pinto Pires Ramos Rebelo
Ribeiro Rocha Rodrigues Santos Saraiva Silva Simões Soares Sousa Tavares Teixeira Torres
Valente Vaz Vicente Vieira
"""
